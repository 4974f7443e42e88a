/* The crew on a list: Start, chain, hire, enter, shift, leave, Stop.
 * README.md says which step is which line of Go. */

#ifndef TASKS
#define TASKS 4
#endif
#ifndef LIMIT
#define LIMIT 3
#endif
#ifdef ROOM /* Limit + Buffer */
#define MOST ROOM
#else
#define MOST TASKS
#endif

#define COMING 128 /* a bit of live */

byte next, live, room;
bool ended, panicked;
chan items = [MOST] of { byte };
bool closed;

/* What only the checks look at. */
byte running, begun, got[TASKS], slot;
bool over, cancelled;

/* A goroutine is one of these processes while its place in on is true; so many
 * live at once at most. */
#define SLOTS LIMIT
bool on[SLOTS];

#define vacant(l) (l < LIMIT) /* and so without the bit */

inline launch() {
	d_step {
		slot = 0;
		do
		:: slot < SLOTS && on[slot] -> slot++
		:: else -> break
		od;
		assert(slot < SLOTS);
		on[slot] = true;
		slot = 0
	}
}

active [SLOTS] proctype worker() {
	byte n, l;

end:
	on[_pid];
serve:
#ifndef BUG_COMING
	live = live & ~COMING;
#endif
shift:
	if
	:: ended -> goto leave
	:: else
	fi;
#ifdef ROOM
	if /* enter */
	:: atomic { room < MOST -> room++; l = ended }
	:: ended -> goto leave
	fi;
#ifndef BUG_LOOK
	if
	:: ended -> goto leave
	:: else
	fi;
#endif
	assert(!l); /* not if the context had ended before there was room */
#endif
	atomic { n = next; next++ };
	if
	:: n >= TASKS ->
		n = 0;
#ifdef ROOM
		atomic { assert(room > 0); room-- };
#endif
		goto leave
	:: else
	fi;

	l = live; /* chain */
	if
	:: vacant(l)
	:: else -> l = 0; goto task
	fi;
	if
	:: next < TASKS
	:: else -> l = 0; goto task
	fi;
	do
	:: l = live; /* hire */
		if
		:: vacant(l)
		:: else -> l = 0; goto task
		fi;
		if
#ifdef BUG_LIMIT
		:: atomic { live = live + 1 + COMING; l = 0 }; launch(); goto task
#else
		:: atomic { live == l -> live = live + 1 + COMING; l = 0 }; launch(); goto task
		:: else
#endif
		fi
	od;
task:
	atomic {
		assert(!over);
		begun++;
		running++;
		assert(running <= LIMIT);
		if
		:: n < LIMIT - 1 -> goto needs
		:: goto done
		:: goto panics
		fi
	};
needs: /* others at the same time */
	begun == TASKS || ended;
done:
#ifdef BUG_CLOSE
	atomic { live--; closed = live == 0 };
#endif
	atomic { /* Put */
		running--;
		assert(!closed);
		assert(nfull(items)); /* it would block */
		items!n;
		n = 0;
		if
		:: goto shift
		:: goto exits
		fi
	};
panics:
	atomic { running--; n = 0; panicked = true };
#ifndef BUG_REPORT
	ended = true;
#endif
	goto shift;
exits: /* by runtime.Goexit */
#ifdef BUG_EXIT
	goto gone;
#endif
	goto serve; /* a new goroutine, as this one ends */
leave:
	atomic {
		live--;
		if
		:: live > 0 -> on[_pid] = false; goto end
		:: else
		fi
	};
	atomic { assert(!closed); closed = true };
gone:
	on[_pid] = false;
	goto end
}

active proctype loop() {
	byte n;
	bool natural;

	if /* Start */
	:: ended -> closed = true
	:: else -> live = 1; launch()
	fi;
	do
	:: if /* Next */
		:: items?n
		:: closed && empty(items) -> natural = true; break
		fi;
		if
		:: panicked -> break
		:: else
		fi;
#ifdef ROOM
		atomic { assert(room > 0); room-- }; /* Took */
#endif
		atomic { /* the body */
			got[n]++;
			assert(got[n] == 1);
			n = 0;
			if
			:: break
			:: true
			fi
		}
	od;
	if /* Stop */
	:: panicked
	:: else -> ended = true
	fi;
#ifndef BUG_WAIT
	do
	:: items?n
	:: closed && empty(items) -> break
	od;
#endif
	atomic {
		assert(ended && running == 0 && live == 0);
		over = true;
		if
		:: natural && !panicked ->
			assert(cancelled || next >= TASKS);
			for (n : 0 .. TASKS - 1) {
				assert(got[n] == (n < next))
			}
		:: else
		fi
	}
}

/* The caller's context ends at any time, or never. */
active proctype caller() {
	if
	:: atomic { cancelled = true; ended = true }
	:: skip
	fi
}

ltl ends { <> over }
