/** Flags of the commands that start clients in containers. */
import { defaulted, type Flags, text } from "./flag.ts";
import { CLIENT_ENV_PATH } from "../container/client_env.ts";

/** Its settings go to the containers, so unlike elsewhere the file has to be there. */
export const CLIENT_ENV_FLAG = {
  envFile: defaulted(
    text({ summary: "settings of the clients", placeholder: "<file>", environment: [] }),
    CLIENT_ENV_PATH,
  ),
} satisfies Flags;

export const PRODUCTION_IMAGE_FLAG = {
  image: defaulted(
    text({ summary: "image to run, with its tag when it has one", environment: ["PSYCHE_IMAGE"] }),
    "psyche-client",
  ),
} satisfies Flags;
