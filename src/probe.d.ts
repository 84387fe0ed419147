export declare function probeNoop(number: number): number;
export declare function probePanicByHand(): never;
