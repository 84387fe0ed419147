// Modules of Node.js that are loaded when they are first needed: together they would cost as much as this package.
import type * as Crypto from 'node:crypto';
import type * as Http from 'node:http';

export const crypto = (): typeof Crypto => require('node:crypto') as typeof Crypto;

export const http = (): typeof Http => require('node:http') as typeof Http;
