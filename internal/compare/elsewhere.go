package main

// elsewhere are libraries that were not run: their behavior as their
// documentation and source have it, in 2026. A dash is what neither tells.
var elsewhere = [][]string{
	{"rill", "**crashes the program**", "Map loses the item, OrderedMap **hangs**", "50 of 50 start",
		"has no contexts; all of the input runs, not waited for", "no shared limit", "what the value says", "held back"},
	{"conker", "pool: an error; MapSeq: raised at the caller", "MapSeq: no error, value 0; ResultPool: result missing", "1 of 10 start",
		"v0.6.0, Ctx forms: told; waited for", "**hangs**", "index in errors only", "held back, at about twice the limit"},
	{"stopper v2 seq", "an error", "not handled", "–",
		"asked to stop, context not canceled at once; not waited for", "no shared limit", "index for the task, not for the loop", "held back, at the number of workers"},
}
