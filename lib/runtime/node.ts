// Modules of Node.js that are loaded when they are first needed: together they would cost as much as this package.
import type * as Crypto from 'node:crypto';
import type * as Http from 'node:http';
import type * as Stream from 'node:stream';

export const crypto = (): typeof Crypto => require('node:crypto') as typeof Crypto;

export const http = (): typeof Http => require('node:http') as typeof Http;

export const stream = (): typeof Stream => require('node:stream') as typeof Stream;
