package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBehavior(t *testing.T) {
	rows, err := behavior(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, len(peers()))
	for _, row := range slices.Concat(rows, elsewhere) {
		require.Len(t, row, 1+len(questions), row[0])
		for _, cell := range row {
			require.NotEmpty(t, strings.TrimSpace(cell), row[0])
		}
	}
	require.Equal(t, []string{
		"await",
		"raised at the caller, with its stack",
		"an error that names it",
		"1 of 10 start",
		"told, waited for, 0 left",
		"finishes",
		"index or key",
		"100 of 100, 9 of 1000",
	}, rows[len(rows)-1])
	// One row of another library, so that the probes are known to tell apart.
	require.Equal(t, []string{"errgroup", "**crashes the program**", "no error, value 0", "10 of 10 start"}, rows[1][:4])
	require.Equal(t, "**hangs**", rows[1][5])
}
