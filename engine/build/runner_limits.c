/* Limits of commands: which there are, and what is said where they, or the owners of what
 * they make, cannot be kept. */
#include "base/amount.h"
#include "build/run.h"
#include "build/runner.h"

enum { LIMIT_MEMORY = 1 << 0, LIMIT_PIDS = 1 << 1, OWNERS = 1 << 2, PIDS_MIN = 301 };

static const char remedy[] = "imgmake doctor says what is missing";

/* True for the first who asks. */
static bool first(struct build *b, unsigned limit)
{
	return !(atomic_fetch_or(&b->limits_said, limit) & limit);
}

static void check_memory(struct runner *x)
{
	struct build *b = x->w->node->build;
	AUTO_BUF size = BUF_INIT;

	if (!x->limits.memory || x->probe->memory || !first(b, LIMIT_MEMORY))
		return;
	amount_add_size(&size, x->limits.memory);
	progress_warning(b->o.progress, "a memory limit of %s cannot be kept here; %s",
	                 size.s, remedy);
}

static void check_pids(struct runner *x)
{
	struct build *b = x->w->node->build;
	long long pids = x->limits.pids;

	if (!pids || x->probe->pids == SANDBOX_PIDS_CGROUP)
		return;
	if (x->probe->pids == SANDBOX_PIDS_UNLIMITED && first(b, LIMIT_PIDS))
		progress_warning(b->o.progress,
		                 "a limit of %lld processes cannot be kept here; %s",
		                 pids, remedy);
	else if (pids < PIDS_MIN && first(b, LIMIT_PIDS))
		progress_warning(
			b->o.progress,
			"a limit of %lld processes is one of %d here, without control "
			"groups; %s",
			pids, PIDS_MIN, remedy);
}

void runner_limits(struct runner *x)
{
	const struct run_limits *own = &x->r->limits;
	const struct run_limits *all = &x->w->node->build->o.limits;

	x->limits = (struct run_limits){
		.timeout = own->timeout ? own->timeout : all->timeout,
		.memory = own->memory ? own->memory : all->memory,
		.pids = own->pids ? own->pids : all->pids,
	};
	check_memory(x);
	check_pids(x);
}

int runner_owners(struct runner *x, struct err *e)
{
	struct build *b = x->w->node->build;
	bool say = x->probe->users == SANDBOX_SINGLE && first(b, OWNERS);

	/* What is only learnt now is said by that. */
	if (run_learn_owners(b, x->probe->users, e) < 0)
		return -1;
	if (say)
		progress_warning(
			b->o.progress,
			"files that run steps make have one owner, since you have no "
			"range of ids in /etc/subuid and /etc/subgid; deploy takes them "
			"with --allow-flat-owners only");
	return 0;
}
