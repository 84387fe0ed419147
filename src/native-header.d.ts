/** A native object; only functions of this module can look into it. */
export interface Handle<T> {
  readonly __native: T;
}
/** A single value of a user's; native code refuses one of another type. */
export type Argument<T> = T;
/** An argument that native code takes over whole and judges itself. */
export type RawArgument = unknown;
