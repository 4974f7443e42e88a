/* The crew on a queue that grows: Start, Add, Claim, Done, Shut, Leave.
 * README.md says which step is which line of Go. */

#ifndef FIRST
#define FIRST 2 /* tasks that are there when the loop begins */
#endif
#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef ROOM
#define ROOM (LIMIT + 1)
#endif
#define TASKS (FIRST + 2) /* the body adds one, and somebody else another */

#define COMING 128 /* a bit of live */

byte live, room;
bool ended;
chan items = [ROOM] of { byte };
bool closed;

/* Guarded by mu. */
bool mu, ranged, shut;
byte waiting = FIRST, open, claimed;

/* What only the checks look at. */
byte running, added = FIRST, got[TASKS], slot;
bool over;

#define vacant(l) (l <= LIMIT) /* held is 1; and so without the bit */

/* A goroutine is one of these processes while its place in on is true. Those
 * that live no longer counts have room to give back. */
#define SLOTS (LIMIT + ROOM)
bool on[SLOTS];

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

inline hire() {
	do
	:: l = live;
		if
		:: vacant(l)
		:: else -> l = 0; break
		fi;
		if
		:: atomic { live == l -> live = live + 1 + COMING; l = 0 }; launch(); break
		:: else
		fi
	od
}

inline add() {
#ifdef BUG_ADD
	atomic { !mu -> mu = true };
#else
	atomic { !mu -> mu = true; waiting++; added++ };
#endif
	if
	:: ranged && !shut -> hire()
	:: else
	fi;
	mu = false
#ifdef BUG_ADD
	; atomic { !mu -> waiting++; added++ }
#endif
}

inline shutNow() {
#ifdef BUG_SHUT
	live--; last = live == 0; shut = true
#else
	if
	:: shut -> last = false
	:: else -> live--; last = live == 0; shut = true
	fi
#endif
}

inline finish() {
	if
	:: last -> atomic { assert(!closed); closed = true; last = false }
	:: else
	fi
}

active [SLOTS] proctype worker() {
	byte n, l;
	bool last;

end:
	on[_pid];
	live = live & ~COMING;
shift:
	if
	:: ended -> goto leave
	:: else
	fi;
	if /* enter */
	:: atomic { room < ROOM -> room++ }
	:: ended -> goto leave
	fi;
	if
	:: ended -> goto leave
	:: else
	fi;
	if /* Claim */
	:: atomic { !mu && shut -> room-- }; goto leave
	:: atomic { !mu && !shut && waiting == 0 ->
#ifndef BUG_DISMISS
			live--; assert(live > 0);
#endif
		};
#ifdef BUG_DISMISS
		live--;
#endif
		atomic { room--; on[_pid] = false; goto end }
	:: atomic { !mu && !shut && waiting > 0 -> waiting--; open++; n = claimed; claimed++ }
	fi;
#ifndef BUG_CHAIN
	l = live; /* chain */
	if
	:: vacant(l)
	:: else -> l = 0; goto task
	fi;
	if /* More */
	:: !mu && !shut && waiting > 0
	:: !mu && (shut || waiting == 0) -> l = 0; goto task
	fi;
	hire();
#endif
task:
	atomic {
		assert(!over);
		running++;
		assert(running <= LIMIT);
		if
		:: n < LIMIT - 1 -> goto needs
		:: goto done
		fi
	};
needs: /* what is added at the same time */
	waiting == 0 || ended;
done:
	atomic { /* Put */
		running--;
		assert(!closed);
		assert(nfull(items)); /* it would block */
		items!n;
		n = 0
	};
	goto shift;
leave:
	atomic {
		live--;
		if
		:: live > 0 -> on[_pid] = false; goto end
		:: else -> last = true
		fi
	};
	finish();
	on[_pid] = false;
	goto end
}

active proctype loop() {
	byte n, l;
	bool last, natural, more = true;

	atomic { !mu -> mu = true; ranged = true; live = 1 }; /* Start */
	if
	:: waiting > 0 -> hire()
	:: else
	fi;
	mu = false;
	do
	:: atomic { !mu -> /* Done */
			natural = waiting + open == 0;
			if
			:: natural -> shutNow()
			:: else
			fi };
		finish();
		if
		:: natural -> break
		:: else
		fi;
		if /* Next */
		:: items?n
		:: closed && empty(items) -> break
		fi;
		atomic { assert(room > 0); room-- };
		atomic { !mu -> open-- };
		atomic { got[n]++; assert(got[n] == 1); n = 0 };
		if /* the body */
		:: more -> more = false; add()
		:: break
		:: skip
		fi
	od;
	ended = true; /* Stop */
	atomic { !mu -> shutNow() };
	finish();
	do
	:: items?n
	:: closed && empty(items) -> break
	od;
	atomic { !mu -> /* Leave */
		assert(running == 0 && live == 0);
		assert(waiting + claimed == added);
		ranged = false;
		over = true;
		if
		:: natural ->
			for (n : 0 .. TASKS - 1) {
				assert(got[n] == (n < claimed))
			}
		:: else
		fi
	}
}

active proctype other() {
	byte l;

	add()
}

/* The caller's context ends at any time, or never; then Shut follows. */
active proctype caller() {
	bool last;

	if
	:: ended = true;
		if
		:: atomic { !mu && ranged -> shutNow() }; finish()
		:: over
		fi
	:: skip
	fi
}

ltl ends { <> over }
