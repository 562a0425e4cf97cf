/* Members are numbered as they come. The owner (the thread that adds bytes) fills
 * number `tail` and writes number `head`; whoever compresses takes number `claimed`, so
 * that head <= claimed <= tail, and number i lives in slot i % n_slots.
 *
 * The pool holds tickets, each good for one member, whichever is next by then. The owner
 * never waits for the pool: when the member it must write is not begun, it compresses it
 * itself, and one that is begun is in the hands of a thread that waits for nothing. So a
 * pool full of other work, or of other encoders' owners, slows us down but cannot stop
 * us. Tickets that find nothing to do are harmless, and may outlive the encoder: they
 * hold a reference. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "image/member.h"

/* Memory stays bounded on machines with many cores; by then hashing is the limit anyway.
 */
enum { SLOTS_MAX = 24 };

struct slot {
	char *in, *out; /* allocated when first used; not zeroed, since a layer may be
	                 * small */
	size_t n_in, n_out;
	bool done;
};

struct encoder {
	pthread_mutex_t lock; /* guards what the other threads see: claimed to idle,
	                         slots' done */
	pthread_cond_t progress;
	enum codec codec;
	struct pool *pool;
	codec_sink *sink;
	void *self;
	uint64_t head, claimed, tail;
	size_t running;
	size_t tickets; /* not yet used */
	size_t refs;    /* the owner's and the tickets' */
	struct press *idle[SLOTS_MAX];
	size_t n_idle;
	size_t n_slots;
	struct slot slots[SLOTS_MAX];
};

struct encoder *encoder_new(enum codec codec, struct pool *pool, codec_sink *sink,
                            void *self)
{
	struct encoder *c = mem_alloc(sizeof(*c));
	size_t threads = pool && codec != CODEC_NONE ? (size_t)pool_threads(pool) : 0;

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->progress, NULL);
	c->codec = codec;
	c->pool = threads ? pool : NULL;
	c->sink = sink;
	c->self = self;
	c->refs = 1;
	/* One in each thread's hands, and one ready; one being filled, one being written.
	 */
	c->n_slots = threads ? threads + 3 : 1;
	if (c->n_slots > SLOTS_MAX)
		c->n_slots = SLOTS_MAX;
	return c;
}

/* Called with the lock held; gives it up. */
static void release(struct encoder *c)
{
	bool last = --c->refs == 0;

	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	pthread_cond_destroy(&c->progress);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void compress(struct encoder *c, struct press **press, struct slot *s)
{
	s->n_out = 0;
	if (!*press)
		*press = press_new(c->codec);
	if (!*press)
		return;
	if (!s->out)
		s->out = mem_grow(NULL, press_bound(c->codec), 1);
	s->n_out = press_run(*press, s->in, s->n_in, s->out);
}

/* Compresses the next member that nobody has begun. The lock is held before and after. */
static void take_one(struct encoder *c)
{
	struct slot *s = &c->slots[c->claimed++ % c->n_slots];
	struct press *press = c->n_idle ? c->idle[--c->n_idle] : NULL;

	c->running++;
	pthread_mutex_unlock(&c->lock);
	compress(c, &press, s);
	pthread_mutex_lock(&c->lock);
	if (press)
		c->idle[c->n_idle++] = press;
	c->running--;
	s->done = true;
	pthread_cond_signal(&c->progress);
}

static void use_ticket(void *arg)
{
	struct encoder *c = arg;

	pthread_mutex_lock(&c->lock);
	c->tickets--;
	if (c->claimed < c->tail)
		take_one(c);
	release(c);
}

/* The member being filled is complete. */
static void hand_over(struct encoder *c)
{
	bool submit;

	pthread_mutex_lock(&c->lock);
	c->tail++;
	submit = c->pool && c->tickets < c->tail - c->claimed;
	if (submit) {
		c->tickets++;
		c->refs++;
	}
	pthread_mutex_unlock(&c->lock);
	if (submit)
		pool_submit(c->pool, use_ticket, c);
}

static int write_head(struct encoder *c, struct err *e)
{
	struct slot *s = &c->slots[c->head % c->n_slots];

	pthread_mutex_lock(&c->lock);
	if (c->claimed == c->head)
		take_one(c);
	while (!s->done)
		pthread_cond_wait(&c->progress, &c->lock);
	s->done = false;
	pthread_mutex_unlock(&c->lock);
	c->head++;
	s->n_in = 0;
	if (!s->n_out) {
		errno = ENOMEM;
		return err_sys(e, "compress a layer");
	}
	return c->sink(c->self, s->out, s->n_out, e);
}

static int flush_plain(struct encoder *c, struct err *e)
{
	struct slot *s = &c->slots[0];
	size_t n = s->n_in;

	s->n_in = 0;
	return n ? c->sink(c->self, s->in, n, e) : 0;
}

static int member_full(struct encoder *c, struct err *e)
{
	if (c->codec == CODEC_NONE)
		return flush_plain(c, e);
	hand_over(c);
	return c->tail - c->head == c->n_slots ? write_head(c, e) : 0;
}

char *encoder_room(struct encoder *c, size_t *n)
{
	struct slot *s = &c->slots[c->tail % c->n_slots];

	if (!s->in)
		s->in = mem_grow(NULL, CODEC_MEMBER, 1);
	*n = CODEC_MEMBER - s->n_in;
	return s->in + s->n_in;
}

int encoder_put(struct encoder *c, size_t n, struct err *e)
{
	struct slot *s = &c->slots[c->tail % c->n_slots];

	s->n_in += n;
	return s->n_in == CODEC_MEMBER ? member_full(c, e) : 0;
}

int encoder_add(struct encoder *c, const void *data, size_t n, struct err *e)
{
	const char *p = data;

	while (n) {
		size_t room;
		char *to = encoder_room(c, &room);
		size_t k = n < room ? n : room;

		memcpy(to, p, k);
		if (encoder_put(c, k, e) < 0)
			return -1;
		p += k;
		n -= k;
	}
	return 0;
}

int encoder_end(struct encoder *c, struct err *e)
{
	if (c->codec == CODEC_NONE)
		return flush_plain(c, e);
	/* Nothing at all is no gzip file: an empty stream has one empty member. */
	if (c->slots[c->tail % c->n_slots].n_in || c->tail == 0)
		hand_over(c);
	while (c->head < c->tail)
		if (write_head(c, e) < 0)
			return -1;
	return 0;
}

void encoder_free(struct encoder *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->claimed = c->tail;
	while (c->running)
		pthread_cond_wait(&c->progress, &c->lock);
	while (c->n_idle)
		press_free(c->idle[--c->n_idle]);
	for (size_t i = 0; i < c->n_slots; i++) {
		free(c->slots[i].in);
		free(c->slots[i].out);
	}
	release(c);
}
