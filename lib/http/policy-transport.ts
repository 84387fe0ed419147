import { HttpTransport, toRequestError, type PreparedRequest } from './transport';
import { type EncodedResponse, HTTPResponse } from './response';
import {
  type ResolvedConnectionConfig,
  type ConnectionTracker,
  type Handle,
  type PolicyEngine,
  native,
  type Policy,
} from '../runtime/native';

/** @internal A call that goes on in JavaScript, and what its first attempt gave. */
export interface FirstAttempt {
  /** The number of the call; below 0 where it was not admitted, and `undefined` where it is over. */
  id: number | undefined;
  /** Gives the response, or throws the failure; `undefined` where no attempt was made. */
  take: (() => HTTPResponse) | undefined;
}

/** As the addon hands it over: an answer, or a call that is not over with the answer or the failure of its first attempt. */
type Outcome = EncodedResponse | [id: number, answer: EncodedResponse | undefined, failure?: string];

/**
 * @internal A transport whose requests can be made under a policy and counted by a tracker, both of them in the addon:
 * a call that is admitted at once, and successful, crosses once.
 */
export class PolicyTransport extends HttpTransport {
  readonly #policyEngine: Handle<PolicyEngine>;

  constructor(
    policy: Handle<Policy>,
    tracker: Handle<ConnectionTracker>,
    name?: string,
    connection?: Handle<ResolvedConnectionConfig>,
  ) {
    super({}, name, connection);
    this.#policyEngine = native.httpPolicyEngine(this.engine, policy, tracker);
  }

  /** Makes the first attempt of a call, of whose `outcome` {@link isAnswer} says whether it is the end of the call. */
  begin({ head, body }: PreparedRequest): Promise<Outcome> | undefined {
    return native.httpPolicyRequest(this.#policyEngine, head, body);
  }
}

/** @internal Whether a call was successful, and is over. */
export function isAnswer(outcome: Outcome | undefined): outcome is EncodedResponse {
  return typeof outcome === 'string' || (outcome !== undefined && typeof outcome[0] === 'string');
}

/** @internal What the first attempt gave of a call that goes on; `undefined` is of one that was not admitted. */
export function firstAttempt(outcome: Exclude<Outcome, EncodedResponse> | undefined, url: string): FirstAttempt {
  if (!outcome) return { id: -1, take: undefined };
  const [id, answer, failure] = outcome;
  const take = () => {
    if (answer !== undefined) return new HTTPResponse(answer, url);
    throw toRequestError(failure);
  };
  return { id, take };
}

/** @internal A call that ended by a defect, which its policy does not know any more. */
export function defectiveAttempt(rejection: unknown): FirstAttempt {
  const take = () => {
    throw toRequestError(rejection);
  };
  return { id: undefined, take };
}
