export { HTTPResponse } from './response';
