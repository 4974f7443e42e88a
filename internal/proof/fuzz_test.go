//go:build !explore

package proof_test

import "testing"

// The fuzzer looks for choices that make a scenario go otherwise than predicted.
func FuzzScenario(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) { requirePredicted(t, "this", data) })
}
