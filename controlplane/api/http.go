package api

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Status answers those who watch the control plane over plain HTTP. Its fields are set
// before use and not changed after.
type Status struct {
	Catalog   *catalog.Catalog
	Evaluator *health.Evaluator
	Log       *slog.Logger
}

// Handler serves what watchers ask for without a certificate: /healthz, /readyz,
// /metrics and /v1/health. It names databases, so it listens on loopback unless
// somebody decides otherwise.
func (s *Status) Handler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, http.StatusOK, "text/plain", []byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/health", s.fleetHealth)
	return mux
}

func (s *Status) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Catalog.Ping(r.Context()); err != nil {
		s.Log.Error("the catalog does not answer", "error", err)
		s.answer(w, http.StatusServiceUnavailable, "text/plain", []byte("the catalog does not answer\n"))
		return
	}
	s.answer(w, http.StatusOK, "text/plain", []byte("ok\n"))
}

// fleetHealth answers as GetHealth does, with a status that plain checkers
// understand. Its filters are ?instance=, ?database= and, any number of times,
// ?verdict=.
func (s *Status) fleetHealth(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	report, err := evaluate(r.Context(), s.Evaluator, nil, asked.Get("instance"), asked.Get("database"), asked["verdict"])
	if err != nil {
		status := http.StatusServiceUnavailable
		switch {
		case errors.Is(err, fleet.ErrNotFound):
			status = http.StatusNotFound
		case errors.Is(err, fleet.ErrInvalid):
			status = http.StatusBadRequest
		default:
			s.Log.Error("health could not be evaluated", "error", err)
		}
		http.Error(w, "health could not be evaluated", status)
		return
	}
	body, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(withoutWords(report))
	if err != nil {
		s.Log.Error("health could not be written", "error", err)
		http.Error(w, "health could not be written", http.StatusInternalServerError)
		return
	}
	status := http.StatusOK
	if !report.Healthy {
		status = http.StatusServiceUnavailable
	}
	s.answer(w, status, "application/json", append(body, '\n'))
}

// withoutWords is a report for who has shown no certificate: codes, figures and names, and nothing
// that an agent says in its own words.
func withoutWords(r health.Report) *pgharborv1.GetHealthResponse {
	shown := reportToProto(r)
	for n, database := range shown.GetDatabases() {
		for m, reason := range database.GetReasons() {
			reason.Text = r.Statuses[n].Reasons[m].Public
		}
		database.Warnings = nil
		database.Proof = testRestoreWithoutWords(database.GetProof())
	}
	return shown
}

// testRestoreWithoutWords has what is known to be a code or a figure, and nothing else that a test
// restore may come to say.
func testRestoreWithoutWords(p *pgharborv1.Proof) *pgharborv1.Proof {
	if p == nil {
		return nil
	}
	shown := &pgharborv1.Proof{
		State: p.GetState(), FinishedAt: p.GetFinishedAt(), RestoreTook: p.GetRestoreTook(), Took: p.GetTook(), Tables: p.GetTables(), Rows: p.GetRows(),
	}
	if slices.Contains(fleet.TestRestoreMethods, p.GetMethod()) {
		shown.Method = p.GetMethod()
	}
	return shown
}

func (s *Status) answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.Log.Debug("an HTTP client left early", "error", err)
	}
}
