// Every service that the contract, the leak, thread and exit tests apply to.
import type { Subject } from '../contract';
import { tursoPool } from './turso-pool';

export const subjects: Subject[] = [tursoPool];
