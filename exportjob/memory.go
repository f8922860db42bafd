package exportjob

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Memory is a [Store] in memory, for tests and for trying things out: jobs are
// lost when the program ends. The zero Memory is empty and ready for use. It is
// safe for use by several goroutines at once and must not be copied.
type Memory struct {
	mu   sync.Mutex
	jobs map[uuid.UUID]memoryJob
}

// memoryJob is a job as other stores keep it, so that what would get lost there
// gets lost here.
type memoryJob struct {
	job  Job // without what Job refers to
	text []byte
}

var _ Store = (*Memory)(nil)

// Add implements [Store].
func (m *Memory) Add(ctx context.Context, job Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.jobs[job.ID]; there {
		return ErrConflict
	}
	for _, other := range m.jobs {
		if job.Slot != 0 && other.job.Slot == job.Slot && other.job.by(job.Workspace, job.Requester) {
			return ErrConflict
		}
	}
	job.Version = 1
	return m.put(job)
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, workspace string, id uuid.UUID) (Job, error) {
	if err := ctx.Err(); err != nil {
		return Job{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, there := m.jobs[id]
	if !there || kept.job.Workspace != workspace {
		return Job{}, ErrNotFound
	}
	return kept.decode()
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, workspace string, requester audit.Actor, limit int) ([]Job, error) {
	return m.some(ctx, limit, func(j Job) bool { return j.by(workspace, requester) }, func(a, b Job) int {
		return cmp.Or(b.Created.Compare(a.Created), bytes.Compare(b.ID[:], a.ID[:]))
	})
}

// Due implements [Store].
func (m *Memory) Due(ctx context.Context, at time.Time, limit int) ([]Job, error) {
	return m.some(ctx, limit, func(j Job) bool { return !j.Due.IsZero() && !j.Due.After(at) }, func(a, b Job) int {
		return cmp.Or(a.Due.Compare(b.Due), bytes.Compare(a.ID[:], b.ID[:]))
	})
}

// Update implements [Store].
func (m *Memory) Update(ctx context.Context, job Job) (Job, error) {
	if err := ctx.Err(); err != nil {
		return Job{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, there := m.jobs[job.ID]
	if !there || kept.job.Workspace != job.Workspace || kept.job.Version != job.Version {
		return Job{}, ErrConflict
	}
	job.Version++
	return job, m.put(job)
}

func (m *Memory) put(job Job) error {
	text, err := EncodeJob(job)
	if err != nil {
		return err
	}
	if m.jobs == nil {
		m.jobs = make(map[uuid.UUID]memoryJob)
	}
	job.Filter = audit.Filter{}
	m.jobs[job.ID] = memoryJob{job, text}
	return nil
}

func (k memoryJob) decode() (Job, error) {
	job, err := DecodeJob(k.text)
	job.Version = k.job.Version
	return job, err
}

// some returns the first jobs of those that are wanted.
func (m *Memory) some(ctx context.Context, limit int, wanted func(Job) bool, order func(a, b Job) int) ([]Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Job
	for _, kept := range m.jobs {
		if wanted(kept.job) {
			job, err := kept.decode()
			if err != nil {
				return nil, err
			}
			found = append(found, job)
		}
	}
	slices.SortFunc(found, order)
	return found[:min(limit, len(found))], nil
}
