/** Causal attention, in the way that suits the graph and the length of its rows. */
import type { Tensor } from "../graph/tensor.ts";
import { byHead, byPosition, type Heads } from "./attention_shape.ts";
import { BLOCK, blockedAttention } from "./blocked_attention.ts";
import { fusedAttention, fusesHeads } from "./fused_attention.ts";

/**
 * Attention of queries [batch, positions, heads * headDim], already multiplied by 1/√headDim, over
 * keys and values [batch, positions, kvHeads * headDim]. Result like the queries. With `texts`, int32
 * [batch, positions], a query reads only keys with the number of its own text.
 *
 * The runtime's fused operator computes all scores above the diagonal too, so it is for rows of one
 * block, where the blocked way saves none of them either.
 */
export function causalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, kvHeads }: Heads,
  texts?: Tensor,
): Tensor {
  const fuses = q.graph.fused && texts === undefined && q.shape[1] <= BLOCK &&
    fusesHeads(q.shape[2] / heads);
  if (fuses) return fusedAttention(q, k, v, { heads, kvHeads });
  return byPosition(
    blockedAttention(byHead(q, heads), byHead(k, kvHeads), byHead(v, kvHeads), texts),
  );
}
