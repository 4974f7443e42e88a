// The program of the README. Run it with
//
//	go run -C internal/demo ./readme
package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The READMEs show what the program prints.
func TestPrintsWhatReadmesShow(t *testing.T) {
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = output
	defer func() { os.Stdout = stdout }()
	synctest.Test(t, func(*testing.T) { main() })
	require.NoError(t, output.Close())
	printed, err := os.ReadFile(output.Name())
	require.NoError(t, err)

	shown := regexp.MustCompile("(?s)\n```text\n(.*?)```\n")
	for _, page := range []string{"README.md", ".github/docs/README.zh-CN.md"} {
		source, err := os.ReadFile(filepath.Join("../../..", page))
		require.NoError(t, err)
		block := shown.FindSubmatch(source)
		require.NotNil(t, block, page)
		assert.Equal(t, string(printed), string(block[1]), page)
	}
}
