// Modules of Node.js that are loaded when they are first needed: together they would cost as much as this package.
import type * as Crypto from 'node:crypto';
import type * as Http from 'node:http';
import type * as PerformanceHooks from 'node:perf_hooks';
import type * as Stream from 'node:stream';
import type * as WebStreams from 'node:stream/web';

export const crypto = (): typeof Crypto => require('node:crypto') as typeof Crypto;

export const http = (): typeof Http => require('node:http') as typeof Http;

export const stream = (): typeof Stream => require('node:stream') as typeof Stream;

export const webStreams = (): typeof WebStreams => require('node:stream/web') as typeof WebStreams;

export const performanceHooks = (): typeof PerformanceHooks => require('node:perf_hooks') as typeof PerformanceHooks;
