//! Errors of the coordinator (docs/protocol/onchain-coordinator.md section 2).

psyche_common::errors! {
    UPDATE_CONFIG_FINISHED = 6000, "UpdateConfigFinished", "A finished run cannot be updated";
    UPDATE_CONFIG_NOT_HALTED = 6001, "UpdateConfigNotHalted", "The run must be paused for this update";
    ACCOUNT_SIZE = 6002, "CoordinatorAccountIncorrectSize", "The coordinator account must have 119160 bytes";
    CLIENTS_FULL = 6003, "ClientsFull", "The run knows 256 clients already";
    CONFIG_INVALID = 6004, "ConfigSanityCheckFailed", "The config is not valid";
    MODEL_INVALID = 6005, "ModelSanityCheckFailed", "The model is not valid";
    PROGRESS_INVALID = 6006, "ProgressSanityCheckFailed", "The step must not be 0";
    SIGNER_NOT_A_CLIENT = 6007, "SignerNotAClient", "The signer is not a client of this run";
    SIGNER_MISMATCH = 6008, "SignerMismatch", "The client id names another signer";
    CLOSE_NOT_HALTED = 6009, "CloseCoordinatorNotHalted", "The run must be paused or finished to be closed";
    NO_ACTIVE_ROUND = 6010, "CoordinatorErrorNoActiveRound", "There is no such round";
    INVALID_WITNESS = 6011, "CoordinatorErrorInvalidWitness", "The witness proof does not hold";
    INVALID_RUN_STATE = 6012, "CoordinatorErrorInvalidRunState", "The run state does not take this message";
    DUPLICATE_WITNESS = 6013, "CoordinatorErrorDuplicateWitness", "The sender has witnessed this round";
    INVALID_HEALTH_CHECK = 6014, "CoordinatorErrorInvalidHealthCheck", "The client is healthy or the check is too early";
    HALTED = 6015, "CoordinatorErrorHalted", "The run is halted";
    WITNESSES_FULL = 6017, "CoordinatorErrorWitnessesFull", "The round has 32 witnesses already";
    CANNOT_RESUME = 6018, "CoordinatorErrorCannotResume", "Only a paused run can be resumed";
    INVALID_SELECTION = 6020, "CoordinatorErrorInvalidCommitteeSelection", "The committee parameters contradict each other";
    INVALID_PROOF = 6021, "CoordinatorErrorInvalidCommitteeProof", "The committee proof does not hold";
    MORE_CLIENTS_THAN_BATCHES = 6022, "MoreClientsThanBatches", "The run knows as many clients as a step has sequences";
    RUN_ID_TOO_LONG = 6023, "RunIdInvalidLength", "A run id has at most 32 bytes";
}
