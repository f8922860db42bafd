package audit_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What people copy from the README's quick start is the program that is tested.
func TestTheReadmesQuickStartIsTheExamplesOwn(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/quickstart/main.go")
	require.NoError(t, err)

	_, section, found := strings.Cut(string(readme), "\n## Quick start\n")
	require.True(t, found, "the README has a quick start")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 2, "the model, and what is done with it")
	for _, block := range blocks {
		require.Contains(t, unindented(string(program)), unindented(block[1]))
	}
}

// unindented is text without the tabs at the beginning of its lines.
func unindented(text string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "")
}
