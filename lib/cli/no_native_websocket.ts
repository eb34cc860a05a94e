/**
 * The websocket package below web3.js looks for native helpers, which would ask for FFI permission.
 * Its pure form is enough: it is not even used where the runtime has a WebSocket of its own.
 */
import process from "node:process";

process.env.WS_NO_BUFFER_UTIL = "1";
process.env.WS_NO_UTF_8_VALIDATE = "1";
