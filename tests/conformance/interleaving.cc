#include "tests/conformance/interleaving.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace bedrock::conformance {
namespace {

using Kind = Step::Kind;

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kBegin:
      return "begin";
    case Kind::kGet:
      return "get";
    case Kind::kGetForUpdate:
      return "get for update";
    case Kind::kScan:
      return "scan";
    case Kind::kPut:
      return "put";
    case Kind::kDelete:
      return "delete";
    case Kind::kDeleteRange:
      return "delete range";
    case Kind::kCommit:
      return "commit";
    case Kind::kRollback:
      return "rollback";
    case Kind::kAwait:
      return "await";
  }
  return "?";
}

const char* NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kConflict:
      return "conflict";
    case Outcome::kDeadlock:
      return "deadlock";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kUnknown:
      return "unknown";
    case Outcome::kOther:
      return "other";
  }
  return "?";
}

/// The sessions' threads, and what they were asked and have answered.
class Cast {
 public:
  Cast(Store& store, Mode mode, std::size_t sessions, std::size_t steps)
      : store_(store), mode_(mode), answers_(steps), errors_(steps) {
    for (std::size_t i = 0; i < sessions; ++i) {
      actors_.push_back(std::make_unique<Actor>());
      actors_.back()->session = store.NewSession();
    }
    for (const auto& actor : actors_)
      actor->thread = std::thread([this, a = actor.get()] { Act(*a); });
  }
  ~Cast() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    for (const auto& actor : actors_) actor->thread.join();
  }
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

  void Ask(const Step& step, std::size_t place) {
    {
      const std::lock_guard lock(mutex_);
      actors_[step.session]->asked.emplace_back(&step, place);
    }
    changed_.notify_all();
  }
  /// Until whoever has something to answer waits for a lock.
  void ComeToRest() {
    while (true) {
      // First who is busy: a request that waits belongs to one of them.
      const std::size_t busy = CountBusy();
      if (busy == 0) return;
      if (store_.waiting() >= busy) break;
      std::this_thread::yield();
    }
    const std::lock_guard lock(mutex_);
    for (const auto& actor : actors_) {
      if (!actor->asked.empty()) answers_[actor->asked.front().second].waited = true;
    }
  }
  void Await(std::size_t session) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return actors_[session]->asked.empty(); });
  }
  void AwaitAll() {
    for (std::size_t i = 0; i < actors_.size(); ++i) Await(i);
  }

  Trace Take(const std::vector<Step>& steps) {
    AwaitAll();
    Trace trace;
    trace.answers = std::move(answers_);
    for (const auto& actor : actors_) {
      trace.committed.push_back(actor->committed);
      trace.ended.push_back(actor->ended);
    }
    for (std::size_t i = 0; i < steps.size(); ++i)
      trace.story += Describe(steps[i], trace.answers[i], errors_[i]) + "\n";
    return trace;
  }

 private:
  struct Actor {
    std::unique_ptr<Session> session;
    std::thread thread;
    // Guarded by mutex_. The first one is being answered.
    std::deque<std::pair<const Step*, std::size_t>> asked;
    // The thread's, and others' when nothing is asked.
    bool running = false;
    bool committed = false;
    std::optional<Outcome> ended;
  };

  std::size_t CountBusy() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        actors_.begin(), actors_.end(), [](const auto& actor) { return !actor->asked.empty(); }));
  }

  void Act(Actor& actor) {
    while (true) {
      std::pair<const Step*, std::size_t> next;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return over_ || !actor.asked.empty(); });
        if (actor.asked.empty()) break;
        next = actor.asked.front();
      }
      Answer answer = Play(actor, *next.first);
      {
        const std::lock_guard lock(mutex_);
        answer.waited = answers_[next.second].waited;
        if (answer.outcome.has_value() && *answer.outcome != Outcome::kOk)
          errors_[next.second] = actor.session->error();
        answers_[next.second] = std::move(answer);
        actor.asked.pop_front();
      }
      changed_.notify_all();
    }
    actor.session.reset();
  }

  Answer Play(Actor& actor, const Step& step) const {
    Session& session = *actor.session;
    Answer answer;
    if (step.kind == Kind::kBegin) {
      BeginOptions options{.mode = mode_, .read_only = step.read_only};
      if (step.lock_timeout.has_value()) options.lock_timeout = *step.lock_timeout;
      answer.outcome = session.Begin(options);
      actor.running = answer.outcome == Outcome::kOk;
      actor.committed = false;
      return answer;
    }
    if (!actor.running) return answer;
    answer.outcome = Request(session, step, &answer);
    if (step.kind == Kind::kCommit || step.kind == Kind::kRollback) actor.running = false;
    actor.committed = step.kind == Kind::kCommit && answer.outcome == Outcome::kOk;
    if (answer.outcome != Outcome::kOk) {
      actor.running = false;
      actor.ended = answer.outcome;
      session.Rollback();
    }
    return answer;
  }

  static Outcome Request(Session& session, const Step& step, Answer* answer) {
    switch (step.kind) {
      case Kind::kGet:
        return session.Get(step.key, &answer->value);
      case Kind::kGetForUpdate:
        return session.GetForUpdate(step.key, &answer->value);
      case Kind::kScan:
        return session.Scan(step.key, step.value, &answer->content);
      case Kind::kPut:
        return session.Put(step.key, step.value);
      case Kind::kDelete:
        return session.Delete(step.key);
      case Kind::kDeleteRange:
        return session.DeleteRange(step.key, step.value);
      case Kind::kCommit:
        return session.Commit();
      case Kind::kRollback:
        session.Rollback();
        return Outcome::kOk;
      case Kind::kBegin:
      case Kind::kAwait:
        break;
    }
    return Outcome::kOther;
  }

  static std::string Describe(const Step& step, const Answer& answer, const std::string& error) {
    std::string text = "T" + std::to_string(step.session + 1) + " " + NameOf(step.kind);
    if (!step.key.empty()) text += " " + step.key;
    if (!step.value.empty()) text += " " + step.value;
    if (step.kind == Kind::kAwait) return text;
    text += ": ";
    if (answer.waited) text += "waited, ";
    text += answer.outcome.has_value() ? NameOf(*answer.outcome) : "not asked";
    if (answer.value.has_value()) text += ", " + *answer.value;
    for (const auto& [key, value] : answer.content) text.append(", ").append(key + "=" + value);
    if (!error.empty()) text += " (" + error + ")";
    return text;
  }

  Store& store_;
  const Mode mode_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::vector<Answer> answers_;
  std::vector<std::string> errors_;
};

void Fill(Store& store, const Content& before) {
  const auto session = store.NewSession();
  const auto check = [&](Outcome outcome) {
    if (outcome != Outcome::kOk) throw std::runtime_error("fill the store: " + session->error());
  };
  check(session->Begin({.mode = Mode::kOptimistic}));
  for (const auto& [key, value] : before) check(session->Put(key, value));
  check(session->Commit());
}

Content ReadEverything(Store& store) {
  const auto session = store.NewSession();
  Content content;
  Outcome outcome = session->Begin({.mode = Mode::kOptimistic, .read_only = true});
  if (outcome == Outcome::kOk) outcome = session->Scan("", "", &content);
  if (outcome != Outcome::kOk) throw std::runtime_error("read the store: " + session->error());
  session->Rollback();
  return content;
}

}  // namespace

Trace RunSchedule(Store& store, Mode mode, const Content& before, const std::vector<Step>& steps) {
  Fill(store, before);
  std::size_t sessions = 0;
  for (const Step& step : steps) sessions = std::max(sessions, step.session + 1);
  Trace trace;
  {
    Cast cast(store, mode, sessions, steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].kind == Kind::kAwait) {
        cast.Await(steps[i].session);
        continue;
      }
      cast.Ask(steps[i], i);
      cast.ComeToRest();
    }
    trace = cast.Take(steps);
  }
  trace.after = ReadEverything(store);
  for (const auto& [key, value] : trace.after) trace.story.append(key + "=" + value + "\n");
  return trace;
}

}  // namespace bedrock::conformance
