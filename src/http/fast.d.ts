export declare function httpRequest(
  engine: Handle<HttpEngine>,
  head: string,
  body?: string | Uint8Array | Handle<HttpBodyWriter>,
  options?: Handle<HttpCallConfig>,
  cancel?: Handle<Cancel>,
  streamed?: boolean,
): Promise<string | [head: string, body: Uint8Array | Handle<HttpBodyReader>]>;
export declare function httpPolicyRequest(
  engine: Handle<PolicyEngine>,
  head: string,
  body?: string | Uint8Array,
):
  | Promise<
      | string
      | [head: string, body: Uint8Array]
      | [id: number, answer: string | [head: string, body: Uint8Array] | undefined, failure?: string]
    >
  | undefined;
