/** A run configuration for tests. Only tests use this file. */

/** docs/protocol/run-config.md section 6. */
export const EXAMPLE_CONFIG = `
[config]
warmup_time = 120
cooldown_time = 45
epoch_time = 1800
max_round_train_time = 60
round_witness_time = 4
min_clients = 2
init_min_clients = 3
verification_percent = 0
witness_nodes = 1
global_batch_size_start = 16
global_batch_size_end = 64
global_batch_size_warmup_tokens = 1000000
total_steps = 5000
waiting_for_members_extra_time = 10

[model.LLM]
architecture = "HfAuto"
data_type = "Pretraining"
max_seq_len = 1024
cold_start_warmup_steps = 5

[model.LLM.checkpoint.Hub]
repo_id = "example-org/tiny-model"
revision = "main"

[model.LLM.data_location.Http]
token_size_in_bytes = "FourBytes"
shuffle = { Seeded = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] }

[model.LLM.data_location.Http.location.NumberedFiles]
url_template = "https://data.example.com/shard-{}.bin"
start_index = 0
n_left_pad_zeros = 4
num_files = 12

[model.LLM.lr_schedule.Cosine]
base_lr = 3.0e-4
warmup_steps = 100
warmup_init_lr = 0.0
total_steps = 5000
final_lr = 3.0e-5

[model.LLM.optimizer.Distro]
quantize_1bit = true
compression_topk = 8
compression_chunk = 64
compression_decay = 0.999
clip_grad_norm = 1.0
`;
