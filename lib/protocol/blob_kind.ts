/** Tags of the blob payloads, docs/protocol/client-lifecycle.md section 5.3. */
export const BlobKind = { DistroResult: 0, ModelParameter: 1, ModelConfig: 2 } as const;
export type BlobKind = (typeof BlobKind)[keyof typeof BlobKind];
