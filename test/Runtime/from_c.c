/* The header is C, and a C program can do the whole road. */
#include "qwenrt/qwenrt.h"

#include <string.h>

static int count_token(int32_t token, void *user) {
  *(int *)user += token >= 0;
  return 1;
}

int qwenrt_test_from_c(const char *plan_path, qwenrt_error *error);

int qwenrt_test_from_c(const char *plan_path, qwenrt_error *error) {
  qwenrt_plan *plan = 0;
  qwenrt_device *device = 0;
  qwenrt_session *session = 0;
  const int32_t prompt[] = {4, 8, 15};
  qwenrt_generate_options options;
  qwenrt_finish finish = QWENRT_FINISH_CANCELLED;
  int tokens = 0, result = 1;
  memset(&options, 0, sizeof(options));
  options.max_new_tokens = 5;
  if (qwenrt_plan_open(plan_path, &plan, error) == QWENRT_OK &&
      qwenrt_device_open(plan, 0, 1, &device, error) == QWENRT_OK &&
      qwenrt_session_create(plan, device, &session, error) == QWENRT_OK &&
      qwenrt_session_load(session, 0, error) == QWENRT_OK &&
      qwenrt_session_append(session, prompt, 3, error) == QWENRT_OK &&
      qwenrt_session_generate(session, &options, count_token, &tokens, &finish, error) == QWENRT_OK &&
      qwenrt_session_reset(session, error) == QWENRT_OK)
    result = !(tokens == 5 && finish == QWENRT_FINISH_LENGTH && qwenrt_plan_entry_count(plan) == 7 &&
               strcmp(qwenrt_plan_entry_name(plan, 6), "scale") == 0 && qwenrt_plan_entry_name(plan, 7) == 0 &&
               qwenrt_plan_max_context(plan) == 32 && strcmp(qwenrt_plan_model_name(plan), "fake") == 0 &&
               qwenrt_device_name(device)[0]);
  qwenrt_session_release(session);
  qwenrt_device_release(device);
  qwenrt_plan_release(plan);
  return result;
}
