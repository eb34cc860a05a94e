/** Rows of a local parquet file, through the hyparquet reader. */
import { compressors } from "hyparquet-compressors";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { PsycheError } from "../../error.ts";

export interface ParquetFile {
  path: string;
  /** Row counts of its row groups, in order. */
  groups: number[];
  /** Names of its top-level columns. */
  columns: string[];
  /** Rows of one group as objects with the given columns. */
  read(group: number, columns: string[]): Promise<Record<string, unknown>[]>;
}

/** Rows of one group at most: they are all made at once. */
const MAX_GROUP_ROWS = 5_000_000;

/** @throws PsycheError `DATA_UNAVAILABLE` when the file cannot be read or is damaged */
export async function openParquet(path: string): Promise<ParquetFile> {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new PsycheError(
        "DATA_UNAVAILABLE",
        `${path} cannot be read as parquet (${reason.split("\n")[0]}); fetch or export it again.`,
        { cause },
      );
    }
  };
  return await guarded(async () => {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const groups = metadata.row_groups.map((group) => Number(group.num_rows));
    if (groups.some((rows) => rows < 0 || rows > MAX_GROUP_ROWS)) {
      throw new Error(`a row group is larger than ${MAX_GROUP_ROWS} rows`);
    }
    // The schema is the tree in depth-first order; the root's children are the columns.
    const columns: string[] = [];
    for (let i = 1; i < metadata.schema.length; i = afterSubtree(metadata.schema, i)) {
      columns.push(metadata.schema[i].name);
    }
    return {
      path,
      groups,
      columns,
      read: (group, columns) => {
        const rowStart = groups.slice(0, group).reduce((a, b) => a + b, 0);
        const rowEnd = rowStart + groups[group];
        return guarded(() =>
          parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, compressors })
        );
      },
    };
  });
}

function afterSubtree(schema: { num_children?: number }[], at: number): number {
  let next = at + 1;
  for (let left = schema[at]?.num_children ?? 0; left > 0; left--) {
    next = afterSubtree(schema, next);
  }
  return next;
}
