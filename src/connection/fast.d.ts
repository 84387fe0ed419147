export declare function connectionRecordRequest(
  tracker: Handle<ConnectionTracker>,
  tookMs: number,
  ok: boolean,
  errorType?: string,
  bytes?: number,
  attemptMs?: number,
  status?: number,
): void;
export declare function connectionRecordAttempt(
  tracker: Handle<ConnectionTracker>,
  tookMs: number,
  status?: number,
): void;
export declare function policyRefuses(policy: Handle<Policy>): boolean;
