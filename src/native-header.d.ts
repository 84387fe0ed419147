/** A native object; only functions of this module can look into it. */
export interface Handle<T> {
  readonly __native: T;
}
export interface Cancel {
  readonly __cancel: unique symbol;
}
export declare function probeNoop(number: number): number;
/** An argument that native code takes over whole and judges itself. */
export type Given = unknown;
export interface HealthMonitor {
  readonly __healthMonitor: unique symbol;
}
