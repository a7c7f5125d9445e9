/*===- qwenrt.h - The runtime for C ----------------------------------------------------------------------------===*\
|*
|* Load a plan, open a device, make a session, load the weights; then run single entries on tensors, or generate tokens.
|*
|* Every function that can fail returns a qwenrt_code and, if `error` is not null, fills it. Handles are opaque; each
|* has one release function, which accepts null. A session keeps its plan and device alive, so that these may be
|* released before it. A handle is used by one thread at a time. Strings are UTF-8 and end with a zero byte.
|*
\*===----------------------------------------------------------------------------------------------------------===*/
#ifndef QWENRT_QWENRT_H
#define QWENRT_QWENRT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qwenrt_plan qwenrt_plan;
typedef struct qwenrt_device qwenrt_device;
typedef struct qwenrt_session qwenrt_session;

/* Why a call failed; the numbers are stable. */
typedef enum qwenrt_code {
  QWENRT_OK = 0,
  QWENRT_INVALID_USAGE = 1,
  QWENRT_INVALID_INPUT = 2,
  QWENRT_NOT_FOUND = 3,
  QWENRT_UNSUPPORTED = 4,
  QWENRT_OUT_OF_MEMORY = 5,
  QWENRT_DEVICE_LOST = 6,
  QWENRT_IO = 7
} qwenrt_code;

/* What was found, what was expected, what to do: one line, cut if it is longer. */
typedef struct qwenrt_error {
  qwenrt_code code;
  char message[1020];
} qwenrt_error;

/* "0.1.0" */
const char *qwenrt_version(void);

/* Plans ------------------------------------------------------------------------------------------------------------ */

/* Reads and verifies the plan file at `path`. */
qwenrt_code qwenrt_plan_open(const char *path, qwenrt_plan **plan, qwenrt_error *error);
void qwenrt_plan_release(qwenrt_plan *plan);
const char *qwenrt_plan_model_name(const qwenrt_plan *plan);
/* Positions the caches hold; 0 for a plan that generates no text. */
uint32_t qwenrt_plan_max_context(const qwenrt_plan *plan);
uint32_t qwenrt_plan_entry_count(const qwenrt_plan *plan);
/* The name of entry `index`, or null if there is none. Lives as long as the plan. */
const char *qwenrt_plan_entry_name(const qwenrt_plan *plan, uint32_t index);

/* Devices ---------------------------------------------------------------------------------------------------------- */

/* Opens a device that can run `plan`. `selector` is an index or a part of the name; null takes the best one. A device
   of type CPU is taken only if `allow_cpu` is not 0. */
qwenrt_code qwenrt_device_open(const qwenrt_plan *plan, const char *selector, int allow_cpu, qwenrt_device **device,
                               qwenrt_error *error);
void qwenrt_device_release(qwenrt_device *device);
const char *qwenrt_device_name(const qwenrt_device *device);

/* Sessions --------------------------------------------------------------------------------------------------------- */

/* Makes the plan's buffers on the device. */
qwenrt_code qwenrt_session_create(const qwenrt_plan *plan, const qwenrt_device *device, qwenrt_session **session,
                                  qwenrt_error *error);
void qwenrt_session_release(qwenrt_session *session);
/* Reads the weights and compiles the kernels. `folder` is the checkpoint's, or the file of packed weights
   of a plan that has some; null: where the plan says. */
qwenrt_code qwenrt_session_load(qwenrt_session *session, const char *folder, qwenrt_error *error);

/* Element types, as in plan.fbs. */
typedef enum qwenrt_dtype {
  QWENRT_F32 = 0,
  QWENRT_BF16 = 1,
  QWENRT_F16 = 2,
  QWENRT_I32 = 3,
  QWENRT_U32 = 4,
  QWENRT_U8 = 5
} qwenrt_dtype;

#define QWENRT_MAX_RANK 8

/* A tensor in host memory, row-major and packed. */
typedef struct qwenrt_tensor {
  const char *name;
  qwenrt_dtype dtype;
  uint32_t rank;
  uint64_t shape[QWENRT_MAX_RANK];
  void *data;
  uint64_t size_bytes; /* of data: exact for inputs, at least the result for outputs */
} qwenrt_tensor;

/* Runs one entry on `inputs`. For each of `outputs`, name, data and size_bytes are given by the caller; dtype, rank,
   shape and size_bytes are set to what the entry produced. Outputs of the entry that are not asked for are dropped. */
qwenrt_code qwenrt_session_run(qwenrt_session *session, const char *entry, const qwenrt_tensor *inputs,
                               uint32_t input_count, qwenrt_tensor *outputs, uint32_t output_count,
                               qwenrt_error *error);

/* Forgets history and caches. */
qwenrt_code qwenrt_session_reset(qwenrt_session *session, qwenrt_error *error);

typedef enum qwenrt_medium { QWENRT_AUDIO = 0, QWENRT_IMAGE = 1, QWENRT_VIDEO = 2 } qwenrt_medium;

/* How media files are read; zero-initialise, then set what matters. */
typedef struct qwenrt_media_options {
  double fps;             /* frames taken of a video, per second; 0: 2 */
  uint64_t min_pixels;    /* of an image or frame; 0: the preprocessor's */
  uint64_t max_pixels;    /* 0: the preprocessor's */
  int use_audio_in_video; /* videos bring their sound: a file its own, a folder of frames the next audio file */
} qwenrt_media_options;

/* From now on media are read that way; null: as at first. Refused while media wait for their prompt. */
qwenrt_code qwenrt_session_set_media_options(qwenrt_session *session, const qwenrt_media_options *options,
                                             qwenrt_error *error);
/* Reads the file at `path`, or as a video a folder of frames, for the prompt that is appended next. There
   "<|audio_pad|>", "<|image_pad|>" or "<|video_pad|>" stands once for each medium of that kind, in the order in which
   they were attached; an audio file that is a video's sound has none. */
qwenrt_code qwenrt_session_attach(qwenrt_session *session, qwenrt_medium medium, const char *path, qwenrt_error *error);
/* Adds tokens to the history, with the media that were attached; these are spent, even if the call fails. */
qwenrt_code qwenrt_session_append(qwenrt_session *session, const int32_t *tokens, uint32_t count, qwenrt_error *error);

/* How to generate; zero-initialise, then set what matters: all zeros is greedy, without limit, without stop tokens. */
typedef struct qwenrt_generate_options {
  uint32_t max_new_tokens; /* 0: until the context is full */
  const int32_t *stop_ids;
  uint32_t stop_id_count;
  int sample;               /* 0: greedy */
  float temperature;        /* 0: 1 */
  uint32_t top_k;           /* 0: off */
  float top_p;              /* 0: off */
  float repetition_penalty; /* 0: off */
  uint32_t seed;
} qwenrt_generate_options;

typedef enum qwenrt_finish {
  QWENRT_FINISH_STOP = 0,
  QWENRT_FINISH_LENGTH = 1,
  QWENRT_FINISH_CONTEXT = 2,
  QWENRT_FINISH_CANCELLED = 3
} qwenrt_finish;

/* Hears each new token; 0 ends generation. */
typedef int (*qwenrt_token_callback)(int32_t token, void *user);

/* Processes what was appended and samples on from there. `options`, `callback` and `finish` may be null. */
qwenrt_code qwenrt_session_generate(qwenrt_session *session, const qwenrt_generate_options *options,
                                    qwenrt_token_callback callback, void *user, qwenrt_finish *finish,
                                    qwenrt_error *error);

/* Speech ----------------------------------------------------------------------------------------------------------- */

/* Samples of a second of speech; 0 for a plan that does not speak. */
uint32_t qwenrt_plan_sample_rate(const qwenrt_plan *plan);
/* The name of voice `index`, or null if there is none. Lives as long as the plan. */
const char *qwenrt_plan_speaker_name(const qwenrt_plan *plan, uint32_t index);

/* How to speak; zero-initialise, then set what matters: all zeros is the first voice, settings of the checkpoint. */
typedef struct qwenrt_speech_options {
  const char *speaker;      /* null: "ethan", else the first */
  int greedy;               /* not 0: the best code each, in place of sampling */
  float temperature;        /* 0: the checkpoint's */
  uint32_t top_k;           /* 0: the checkpoint's */
  float top_p;              /* 0: the checkpoint's */
  float repetition_penalty; /* 0: the checkpoint's */
  uint32_t seed;
  uint32_t max_frames; /* 0: the checkpoint's */
  int ignore_eos;
} qwenrt_speech_options;

/* Hears text as it comes, whole characters, ended by a zero byte; 0 ends the answer. */
typedef int (*qwenrt_text_callback)(const char *text, void *user);
/* Hears samples in -1 .. 1 of one channel as they come; 0 ends the answer. They are valid during the call. */
typedef int (*qwenrt_audio_callback)(const float *samples, uint32_t count, void *user);

/* As qwenrt_session_generate, and speaks the answer meanwhile. The history has to be a chat that asks for an answer.
   `options`, `speech`, `finish` and the callbacks may be null. */
qwenrt_code qwenrt_session_speak(qwenrt_session *session, const qwenrt_generate_options *options,
                                 const qwenrt_speech_options *speech, qwenrt_text_callback on_text,
                                 qwenrt_audio_callback on_audio, void *user, qwenrt_finish *finish,
                                 qwenrt_error *error);

#ifdef __cplusplus
}
#endif
#endif
