package analysis

// meter turns work done into Progress. Work is counted in flights looked at and
// flights drawn. Until the groups are known the draws are taken for as many as
// they could be; the share only jumps forward when they turn out to be fewer.
type meter struct {
	progress  Progress
	report    func(Progress)
	draws     int64
	allDraws  int64
	resamples int // a group
}

func newMeter(rows, resamples int, report func(Progress)) *meter {
	m := &meter{report: report, allDraws: int64(rows) * int64(resamples), resamples: resamples}
	m.progress = Progress{Stage: "read", RowsTotal: rows}
	m.send()
	return m
}

func (m *meter) send() {
	done, all := int64(m.progress.RowsDone)+m.draws, int64(m.progress.RowsTotal)+m.allDraws
	if all > 0 {
		m.progress.Share = float64(done) / float64(all)
	}
	m.report(m.progress)
}

func (m *meter) rows(done int) {
	m.progress.RowsDone = done
	m.send()
}

func (m *meter) groups(n int, draws int64) {
	m.progress.Stage, m.progress.GroupsTotal, m.progress.ResamplesTotal = "resample", n, n*m.resamples
	m.allDraws = draws
}

func (m *meter) start(group string) { m.progress.Group = group }

func (m *meter) step(draws, resamples int) {
	m.draws += int64(draws)
	m.progress.ResamplesDone += resamples
	m.send()
}

func (m *meter) finish() { m.progress.GroupsDone++ }

func (m *meter) done() {
	m.progress.Stage, m.progress.Group = "done", ""
	m.send()
}
