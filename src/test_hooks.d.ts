export declare function testIdentity(number: number): number;
export declare function testPanicByHand(): never;
