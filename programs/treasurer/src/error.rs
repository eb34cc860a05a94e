//! Errors of the treasurer (docs/protocol/onchain-treasurer.md section 3).

psyche_common::errors! {
    INVALID_PARAMETER = 6000, "InvalidParameter", "More points are claimed than are earned and not claimed";
    RUN_ID_TOO_LONG = 6001, "RunIdInvalidLength", "A run id has at most 32 bytes";
}
