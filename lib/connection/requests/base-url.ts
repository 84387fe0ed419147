import { URL } from '../../runtime/node';
import { joinUrl, urlText } from '../../http/url';
import { invalidValue } from '../../runtime/argument-error';

/** Paths and queries that the URL standard leaves as they are, and that no server resolves to anything else. */
const PLAIN =
  /^(?:\/|\/?[\w~!$&*+,;=:@-][\w.~!$&*+,;=:@-]*(?:\/[\w~!$&*+,;=:@-][\w.~!$&*+,;=:@-]*)*\/?)(?:\?[\w.~!$&()*+,;=:@/?%-]+)?$/;

/** Where a request goes. */
export interface RequestTarget {
  url: string;
  /** Whether it goes to the origin of the connection. */
  isSameOrigin: boolean;
}

/** The URL of a connection, below which its requests go. */
export class BaseUrl {
  /** The URL as it was given. */
  readonly url: string;
  readonly #origin: string;
  /** What a plain path is appended to, without the slash between them; `undefined` where the URL has more than a path. */
  readonly #prefix: string | undefined;

  constructor(url: string) {
    if (!URL.canParse(url)) throw invalidUrl();
    this.url = url;
    const { origin, href, pathname, search, hash } = new URL(url);
    this.#origin = origin;
    const isPlain =
      search === '' && hash === '' && !/[%\\]/.test(pathname) && !href.endsWith('?') && !href.endsWith('#');
    if (isPlain) this.#prefix = href.replace(/\/$/, '');
  }

  /** Where a request goes; the full URL is checked, unless all of it was. */
  resolve(path: string | URL | undefined): RequestTarget {
    if (path === undefined) return { url: this.url, isSameOrigin: true };
    const text = urlText(path);
    if (this.#prefix !== undefined && PLAIN.test(text)) {
      return { url: text.startsWith('/') ? this.#prefix + text : `${this.#prefix}/${text}`, isSameOrigin: true };
    }
    const url = joinUrl(this.url, text);
    if (!URL.canParse(url)) throw invalidUrl();
    return { url, isSameOrigin: new URL(url).origin === this.#origin };
  }
}

/** Node's own error would show the URL, with what it holds. */
function invalidUrl(): TypeError {
  return invalidValue('request.url must be an http:// or https:// URL');
}
