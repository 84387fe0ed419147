export { SSEEvent } from './event';
