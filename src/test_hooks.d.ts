export declare function testNoop(number: number): number;
export declare function testPanicByHand(): never;
