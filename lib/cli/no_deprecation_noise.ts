/**
 * Importing this keeps deprecation notes of dependencies (a Node built-in that web3.js still uses) off
 * stderr: they say nothing to the user of a command. Must be evaluated before those dependencies.
 */
import process from "node:process";

(process as { noDeprecation?: boolean }).noDeprecation = true;
