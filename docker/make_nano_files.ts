/** Makes the training text, the tokenizer and the initial weights of the nano model; argument: folder. */
import { prepareDemo } from "../lib/operator/prepare_demo.ts";

await prepareDemo(Deno.args[0]);
