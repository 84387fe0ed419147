export declare function policyAdmit(policy: Handle<Policy>, id?: number, timeoutMs?: number): number;
export declare function policySucceed(policy: Handle<Policy>, id: number): void;
export declare function policyFail(
  policy: Handle<Policy>,
  id: number,
  weight: number,
  retryable: boolean,
  retryAfterMs: number,
): number;
export declare function policyCancel(policy: Handle<Policy>, id: number): void;
export declare function policyDequeue(policy: Handle<Policy>): number;
