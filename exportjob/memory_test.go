package exportjob_test

import (
	"testing"

	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.RunExports(t, func(*testing.T) exportjob.Store { return new(exportjob.Memory) })
}
