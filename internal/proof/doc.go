// Package proof checks the contract of package await beyond its unit tests. It
// has only tests.
//
// # What is checked
//
// A scenario is one call of any kind with random options, tasks, loop body,
// sequence, cancellation and functions of OnCancel and OnDiscard, each with its
// durations. An oracle predicts from the contract alone what happens in it:
// which task starts when, which result the loop gets when, what is discarded,
// and how and when the call ends. Then the scenario runs with the library in a
// [testing/synctest] bubble. Everything has to happen as predicted, at the very
// nanosecond. A scenario that goes otherwise is reduced to the smallest one
// that still does.
//
//   - TestScenarios: random scenarios.
//   - TestFaults, TestDeafTask: scenarios in which something goes wrong at every
//     possible point, also in the same instant as something else.
//   - FuzzScenario, TestCorpus: scenarios chosen by coverage, and the ones that
//     the fuzzer starts from.
//   - TestNest: random nests of calls within one limiter.
//   - TestScheduler: scenarios on the real scheduler, where nothing can be
//     predicted but some things must never happen.
//   - TestSoak: calls of every kind at once, nested, for a while. No value is
//     lost, no memory and no goroutine stays.
//   - TestLeak: the runtime finds no goroutine that is blocked forever. It needs
//     Go 1.27, or an experiment of Go 1.26.
//   - TestOracle: the oracle does not contradict itself.
//
// # How to run more of it
//
// From the root of the repository:
//
//	go test ./internal/proof -run Scenarios -scenarios 200000
//	go test ./internal/proof -run Scenarios -seed 684 -v
//	go test ./internal/proof -run '^$' -fuzz Scenario -fuzztime 5m
//	go test ./internal/proof -race -cpu 1,2,8 -run Scheduler -scenarios 100000
//	go test ./internal/proof -run Soak -soak 10m -timeout 20m -v
//	GOEXPERIMENT=goroutineleakprofile go test ./internal/proof -run Leak
//
// If the generator of scenarios changes, delete the files of the corpus that
// TestCorpus no longer accepts, and let it find others:
//
//	go test ./internal/proof -run Corpus -corpus
package proof
