import { contract } from '../contract/contract';
import { subjects } from '../contract/subjects';

for (const subject of subjects) contract(subject);
