import { contract } from './contract';
import { subjects } from './subjects';

for (const subject of subjects) contract(subject);
