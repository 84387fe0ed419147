// The codes of errors, for docs/reference/errors.md; __test__/documents/docs-codes.test.ts holds them to the sources.
//
// [code, kind or class, when, what to do, retryable]
import { BROKEN_SERVER, libsql } from './libsql-codes.mjs';
import { postgres } from './postgres-codes.mjs';
import { ssh } from './ssh-codes.mjs';

const CORRECT_THE_CALL = 'the message names the argument or option: correct the call';
const OWN_CERTIFICATE = 'give the certificate and key that the server wants in `tls`';
const REINSTALL = 'see [installing.md](../installing.md)';

/** Mistakes of a programmer. */
const mistakes = [
  ['ERR_INVALID_ARG_TYPE', '`TypeError`', 'a value of the wrong type', CORRECT_THE_CALL],
  [
    'ERR_INVALID_ARG_VALUE',
    '`TypeError`',
    'a value of the right type that cannot be taken, an unknown option',
    CORRECT_THE_CALL,
  ],
  ['ERR_OUT_OF_RANGE', '`RangeError`', 'a number outside its range', CORRECT_THE_CALL],
  [
    'ERR_INVALID_STATE',
    '`TypeError`',
    'what an object cannot be asked now, such as `data` of a streamed answer',
    CORRECT_THE_CALL,
  ],
  ['ERR_INVALID_CHAR', '`TypeError`', 'a line break or a NUL in a header', CORRECT_THE_CALL],
].map((row) => [...row, 'no']);

const kinds = [
  [
    'ERR_MOORLINE_CLOSED',
    '`closed`',
    'the object was closed, drained or released',
    'make a new one, or close it later',
    'no',
  ],
  [
    'ERR_MOORLINE_CIRCUIT_OPEN',
    '`circuit-open`',
    'the breaker is open',
    'wait for `retryAfterMs`; look for what made it open',
    'yes',
  ],
  [
    'ERR_MOORLINE_RATE_LIMITED',
    '`rate-limited`',
    'a rate limit of ours, or a 429',
    'wait for `retryAfterMs`, or send less',
    'yes',
  ],
  [
    'ERR_MOORLINE_OVERLOADED',
    '`overloaded`',
    'a queue or a bulkhead is full',
    'send less at once, or raise the bound',
    'yes',
  ],
  [
    'ERR_MOORLINE_CONNECT',
    '`connect`',
    'no connection could be made, for another reason than those below',
    'read `cause` and `detail`',
    'yes',
  ],
  ['ERR_MOORLINE_TLS', '`tls`', 'TLS failed for another reason than those below', 'read `cause`', 'no'],
  [
    'ERR_MOORLINE_AUTH',
    '`auth`',
    'credentials are missing or were refused (401, 403, 407)',
    'give other credentials',
    'no',
  ],
  [
    'ERR_MOORLINE_DISCONNECTED',
    '`disconnected`',
    'an established connection was lost',
    'ask again where that is safe',
    'if safe',
  ],
  [
    'ERR_MOORLINE_REJECTED',
    '`rejected`',
    'the server answered, and the answer is no',
    'read the message and `detail.status`',
    'by status',
  ],
  ['ERR_MOORLINE_PROTOCOL', '`protocol`', 'the response cannot be read', BROKEN_SERVER, 'no'],
  [
    'ERR_MOORLINE_SIGNATURE',
    '`signature`',
    'a signature does not verify',
    'compare the secret with the sender’s',
    'no',
  ],
  ['ERR_MOORLINE_CONNECTOR', '`connector`', 'a provider failed in a way of its own', 'read the message', 'no'],
  ['ERR_MOORLINE_INTERNAL', '`internal`', 'a defect in moorline', 'report it', 'no'],
  [
    'ETIMEDOUT',
    '`timeout`, `pool-timeout`, `connect`',
    'a time limit passed: the message, or `detail.limit`, names it. A replay store of webhooks did not answer',
    'raise the limit, or look at what is slow',
    'if safe',
  ],
];

const network = [
  ['EACCES', '`connect`', 'the system does not let the process connect', 'look at the firewall and its rights', 'yes'],
  [
    'EADDRNOTAVAIL',
    '`connect`',
    'the system has no address or port left for the connection',
    'keep connections open, or make fewer',
    'yes',
  ],
  [
    'EAGAIN',
    '`overloaded`',
    'the system could not create a thread',
    'raise the limit of threads of the process',
    'yes',
  ],
  ['ECONNABORTED', '`disconnected`', 'this machine gave the connection up', 'ask again where that is safe', 'if safe'],
  [
    'ECONNREFUSED',
    '`connect`',
    'nothing listens at that port',
    'look at host and port, and whether the server runs',
    'yes',
  ],
  ['ECONNRESET', '`disconnected`, `connect`', 'the peer cut the connection', 'ask again where that is safe', 'if safe'],
  ['EHOSTUNREACH', '`connect`', 'no way leads to the host', 'look at the network', 'yes'],
  ['ENETDOWN', '`disconnected`', 'the network is down', 'look at the network', 'if safe'],
  ['ENETUNREACH', '`connect`, `disconnected`', 'no way leads to the network', 'look at the network', 'yes'],
  [
    'ENOTCONN',
    '`disconnected`',
    'the connection was lost before it was used',
    'ask again where that is safe',
    'if safe',
  ],
  ['ENOTFOUND', '`connect`', 'the name of the host has no address', 'look at the name and the DNS', 'yes'],
  [
    'EPIPE',
    '`disconnected`',
    'the peer closed the connection while something was sent',
    'ask again where that is safe',
    'if safe',
  ],
  ['ERR_INVALID_URL', '`rejected`', 'a URL has no valid host', 'correct the URL', 'no'],
  [
    'ERR_MOORLINE_ADDRESS_REFUSED',
    '`connect`',
    'the security level allows no private address',
    'name the host in `customSecurityOptions.allowedHosts`',
    'no',
  ],
  [
    'ERR_MOORLINE_PLAIN_TEXT_REFUSED',
    '`connect`',
    'the security level allows no plain text',
    'use `https:` or `wss:`',
    'no',
  ],
  [
    'ERR_MOORLINE_PROXY_REFUSED',
    '`connect`',
    'the proxy makes no connection to the host',
    'look at the rules of the proxy',
    'yes',
  ],
];

const tls = [
  ['CERT_HAS_EXPIRED', '`tls`', 'the server’s certificate has expired', 'renew it; look at this machine’s clock', 'no'],
  ['CERT_NOT_YET_VALID', '`tls`', 'the server’s certificate is not valid yet', 'look at the clocks', 'no'],
  ['CERT_REVOKED', '`tls`', 'the server’s certificate was revoked', 'give the server another', 'no'],
  ['CERT_SIGNATURE_FAILURE', '`tls`', 'the signature of a certificate is wrong', 'give the server another', 'no'],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    '`tls`',
    'nobody known has issued the certificate',
    'give its authority in `tls.ca`; the server may send no intermediate one',
    'no',
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    '`tls`',
    'the certificate is for another name',
    'correct the host, or give `tls.serverName`',
    'no',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    '`tls`',
    'server and client have no cipher in common',
    'look at the server’s TLS settings',
    'no',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    '`tls`',
    'the server has no TLS version that is allowed',
    'TLS 1.2 is the oldest; look at `tls.minVersion`',
    'no',
  ],
  [
    'ERR_SSL_TLSV1_UNRECOGNIZED_NAME',
    '`tls`',
    'the server does not know the name it was asked for',
    'correct the host, or give `tls.serverName`',
    'no',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    '`tls`',
    'the server speaks no protocol that was offered',
    'look at the server’s ALPN',
    'no',
  ],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    '`auth`',
    'the server wants a certificate of the client',
    OWN_CERTIFICATE,
    'no',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
    '`auth`',
    'the server refuses the client’s certificate',
    OWN_CERTIFICATE,
    'no',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
    '`auth`',
    'the client’s certificate is of a kind that the server does not take',
    OWN_CERTIFICATE,
    'no',
  ],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED', '`auth`', 'the client’s certificate was revoked', OWN_CERTIFICATE, 'no'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', '`auth`', 'the client’s certificate has expired', OWN_CERTIFICATE, 'no'],
  [
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
    '`auth`',
    'the server does not accept the client’s certificate',
    OWN_CERTIFICATE,
    'no',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    '`auth`',
    'the server does not know who issued the client’s certificate',
    OWN_CERTIFICATE,
    'no',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    '`auth`',
    'the client’s certificate is good, and may not come in',
    OWN_CERTIFICATE,
    'no',
  ],
];

const calls = [
  ['ERR_STRING_TOO_LONG', '`internal`', 'a result that no text of JavaScript can hold', 'ask for less at once', 'no'],
  ['ERR_TOO_MANY_REDIRECTS', '`protocol`', 'more than `maxRedirects`', 'look for a circle; raise `maxRedirects`', 'no'],
  ['ERR_INVALID_REDIRECT', '`protocol`', 'a `Location` that is no URL', BROKEN_SERVER, 'no'],
  [
    'ERR_INSECURE_REDIRECT',
    '`protocol`',
    'a redirect from https to http, which the security level forbids',
    'use the URL that it leads to',
    'no',
  ],
  [
    'ERR_BODY_NOT_REPLAYABLE',
    '`protocol`',
    'a redirect of a streamed body',
    'send to the URL that it leads to, or give the body as bytes',
    'no',
  ],
  [
    'ERR_MOORLINE_RESPONSE_TOO_LARGE',
    '`protocol`',
    'a head or a body above its limit',
    'raise `maxResponseBytes` or `maxDecompressedBytes`, or stream it; of a libSQL server, fetch the rows in parts',
    'no',
  ],
  [
    'ERR_MOORLINE_REQUEST_TOO_LARGE',
    '`rejected`',
    'a forecast of more than 200 MiB',
    'send it in parts, as the message says',
    'no',
  ],
  [
    'ERR_MOORLINE_JOB_FAILED',
    '`rejected`',
    'a job of the forecast service failed',
    'read `cause` and `detail.error`',
    'no',
  ],
  ['ERR_MOORLINE_JOB_CANCELLED', '`rejected`', 'a job of the forecast service was cancelled', 'submit it again', 'no'],
  ['ERR_MOORLINE_CONTENT_TYPE', '`protocol`', 'an answer that is no event stream', 'correct the URL', 'no'],
  [
    'ERR_MOORLINE_STREAM_STOPPED',
    '`rejected`',
    'the server says that there is no event stream any more (204)',
    'nothing: it is over',
    'no',
  ],
  ['ERR_MOORLINE_EVENT_TOO_LARGE', '`protocol`', 'an event longer than `maxEventBytes`', 'raise it', 'no'],
  ['ERR_MOORLINE_EVENT_ID', '`protocol`', 'an event’s id that no header can carry', BROKEN_SERVER, 'no'],
  [
    'ABORT_ERR',
    '`closed`',
    'the caller’s signal was aborted: mostly its own `reason` is what rejects',
    'nothing',
    'no',
  ],
];

const websocket = [
  ['WS_ERR_EXPECTED_FIN', 'a fragmented control frame'],
  ['WS_ERR_INVALID_CLOSE_CODE', 'an invalid close code'],
  ['WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 'a control frame that is too long'],
  ['WS_ERR_INVALID_OPCODE', 'a frame with an unknown opcode, or out of sequence'],
  ['WS_ERR_INVALID_UTF8', 'text that is not UTF-8'],
  ['WS_ERR_UNEXPECTED_MASK', 'a masked frame'],
  ['WS_ERR_UNEXPECTED_RSV_1', 'a compressed frame where compression is not allowed'],
  ['WS_ERR_UNEXPECTED_RSV_2_3', 'a reserved bit'],
]
  .map(([code, when]) => [code, '`protocol`', `the server sent ${when}`, BROKEN_SERVER, 'no'])
  .concat([
    ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', '`protocol`', 'a message larger than `maxMessageBytes`', 'raise it', 'no'],
    [
      'ERR_MOORLINE_RECEIVE_QUEUE_FULL',
      '`timeout`, `overloaded`',
      'messages come faster than they are taken',
      'take them faster',
      'yes',
    ],
  ]);

const loading = [
  ['ERR_MOORLINE_BINARY_BROKEN', 'the system refuses the binary'],
  ['ERR_MOORLINE_BINARY_MISSING', 'the binary’s package is not installed'],
  ['ERR_MOORLINE_BUNDLED', 'a bundler took the package apart'],
  ['ERR_MOORLINE_GLIBC', 'the system’s C library is older than the binary needs'],
  ['ERR_MOORLINE_PLATFORM', 'the installed binary is for another platform'],
  ['ERR_MOORLINE_PLATFORM_UNSUPPORTED', 'there is no binary for this platform'],
].map(([code, when]) => [code, '`Error`', `at loading: ${when}`, REINSTALL, 'no']);

export const codes = [
  ...mistakes,
  ...kinds,
  ...network,
  ...tls,
  ...calls,
  ...websocket,
  ...libsql,
  ...ssh,
  ...postgres,
  ...loading,
];
