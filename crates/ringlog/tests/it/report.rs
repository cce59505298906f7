//! A sink that is written outside the crates: it learns of each loss in its place, and says itself
//! where its far end stands.

use ringlog::{
    Entry, LeftOff, Lookback, Mark, Polled, Report, Resume, Sink, Source, Turn, layout::Checkpoint,
    layout::Output,
};
use ringlog_testkit::Place;
use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// What a far end has received: an entry by its position, or a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Entry(u64),
    Gap(Range<u64>),
}

/// A far end that outlives the sinks that write to it, as a broker does.
#[derive(Clone, Default)]
struct Far(Rc<RefCell<Vec<Told>>>);

/// Writes to a far end: what was taken arrives with the checkpoint.
struct ToFar {
    far: Far,
    taken: Vec<Told>,
    /// The next checkpoint arrives, and then its answer is lost.
    dies: bool,
}

impl Sink for ToFar {
    fn resume(
        &mut self,
        left: &LeftOff,
        _source: &mut dyn Lookback,
    ) -> ringlog::Result<Option<Resume>> {
        self.taken.clear();
        let far = self.far.0.borrow();
        let Some(last) = far.last() else { return Ok(None) };
        let position = match last {
            Told::Entry(position) => position + 1,
            Told::Gap(range) => range.end,
        };
        assert!(position >= left.committed.position, "first the far end, then the commit");
        let lost =
            far.iter().map(|it| if let Told::Gap(r) = it { r.end - r.start } else { 0 }).sum();
        let mark = Mark { value: far.len() as u64, output: None };
        Ok(Some(Resume { position, lost, mark, notes: vec![format!("goes on at {position}")] }))
    }

    fn entry(&mut self, position: u64, entry: Entry<'_>) {
        assert!(entry.body.is_empty() && entry.columns.len() == 16);
        assert!(!self.is_full(), "it wanted a checkpoint before it takes {position}");
        self.taken.push(Told::Entry(position));
    }

    fn lost(&mut self, range: Range<u64>) {
        self.taken.push(Told::Gap(range));
    }

    fn is_pending(&self) -> bool {
        !self.taken.is_empty()
    }

    fn is_full(&self) -> bool {
        self.taken.len() >= 3
    }

    fn checkpoint(&mut self) -> io::Result<Mark> {
        self.far.0.borrow_mut().append(&mut self.taken);
        if self.dies {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Mark { value: self.far.0.borrow().len() as u64, output: None })
    }
}

fn to(far: &Far, dies: bool) -> ToFar {
    ToFar { far: far.clone(), taken: Vec::new(), dies }
}

#[test]
fn outside_sink_resumes_and_gets_each_loss_once() {
    let place = Place::new();
    let mut feed = place.feed(8);
    let far = Far::default();
    feed.append(5);
    let reader = feed.log.reader(0).unwrap();
    let (mut report, notes) = Report::new(reader, to(&far, false), Duration::ZERO).unwrap();
    assert!(notes.is_empty());
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    // Lapped: 8 slots, and 20 entries more.
    feed.append(20);
    assert!(
        matches!(report.turn(u64::MAX).unwrap(), Turn::Lost(losses) if losses.within == (5..17))
    );
    report.export().unwrap();
    assert_eq!((report.lost(), report.source().position()), (12, 17));
    drop(report);

    // The far end has it, and the commit never came: it is not sent again.
    let reader = feed.log.reader(0).unwrap();
    let (mut report, notes) = Report::new(reader, to(&far, true), Duration::ZERO).unwrap();
    assert_eq!(notes, ["goes on at 17"]);
    assert!(report.turn(u64::MAX).is_err());
    drop(report);
    let committed = feed.log.snapshot().unwrap().readers[0].position;
    assert_eq!((committed, far.0.borrow().last()), (17, Some(&Told::Entry(19))));

    let reader = feed.log.reader(0).unwrap();
    let (mut report, notes) = Report::new(reader, to(&far, false), Duration::ZERO).unwrap();
    assert_eq!(notes, ["goes on at 20"]);
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    let due: Vec<Told> = (0..5).map(Told::Entry).chain([Told::Gap(5..17)]).collect();
    let due: Vec<Told> = due.into_iter().chain((17..25).map(Told::Entry)).collect();
    assert_eq!(*far.0.borrow(), due);
    let reader = &feed.log.snapshot().unwrap().readers[0];
    assert_eq!((reader.position, reader.lost, reader.output_length), (25, 12, due.len() as u64));
}

/// A source of its own: entries, and at regular distances a hole of two.
struct Made {
    at: u64,
    every: u64,
    end: u64,
    committed: Checkpoint,
}

impl Made {
    fn new(every: u64, end: u64) -> Made {
        Made { at: 0, every, end, committed: Checkpoint::default() }
    }
}

impl Source for Made {
    fn poll(&mut self) -> Polled<Entry<'_>> {
        let position = self.at;
        if position >= self.end {
            Polled::Empty
        } else if position % (self.every + 2) == self.every {
            self.at += 2;
            Polled::Lost(position..position + 2)
        } else {
            self.at += 1;
            Polled::Entry { position, record: Entry::from(&[0; 16]) }
        }
    }
    fn position(&self) -> u64 {
        self.at
    }
    fn lost(&self) -> u64 {
        let (rounds, rest) = (self.at / (self.every + 2), self.at % (self.every + 2));
        2 * rounds + rest.saturating_sub(self.every)
    }
    fn left_off(&self) -> LeftOff {
        let (committed, position) = (self.committed, self.at);
        LeftOff { output: None, committed, position, end: self.end, explicit: false, body_max: 0 }
    }
    fn look_back(&mut self, _position: u64) -> Option<Entry<'_>> {
        None
    }
    fn go_to(&mut self, position: u64, _lost: u64) {
        self.at = position;
    }
    fn rewind(&mut self) {
        self.at = self.committed.position;
    }
    fn settle(&mut self) -> bool {
        false
    }
    fn refresh(&mut self) {}
    fn commit(&mut self, mark: u64) {
        self.committed = Checkpoint { position: self.at, lost: self.lost(), laps: 1, mark };
    }
    fn set_output(&mut self, output: Option<&Output>) {
        assert!(output.is_none());
    }
}

#[test]
fn a_report_runs_over_a_source_that_is_no_log() {
    let far = Far::default();
    let (mut report, _) = Report::new(Made::new(2, 5), to(&far, false), Duration::MAX).unwrap();
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    assert_eq!((report.entries(), report.lost()), (3, 2));
    // Before it was exported: all of it comes again.
    let notes = report.look_again().unwrap();
    assert!(notes.len() <= 1);
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    let due = [Told::Entry(0), Told::Entry(1), Told::Gap(2..4), Told::Entry(4)];
    assert_eq!(*far.0.borrow(), due);

    // And with a far end in which nothing can be resumed.
    let far = Far::default();
    let (mut report, _) = Report::new(Made::new(9, 2), to(&far, false), Duration::MAX).unwrap();
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    assert_eq!((report.entries(), far.0.borrow().len()), (2, 0));
    assert!(report.look_again().unwrap().is_empty());
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    report.export().unwrap();
    assert_eq!((report.entries(), report.committed_entries()), (2, 2));
    assert_eq!(*far.0.borrow(), [Told::Entry(0), Told::Entry(1)]);
}

#[test]
fn what_is_lost_at_each_turn_keeps_nothing_from_the_far_end() {
    let far = Far::default();
    let (mut report, _) = Report::new(Made::new(0, 10), to(&far, false), Duration::ZERO).unwrap();
    for gaps in 0..4 {
        assert!(matches!(report.turn(u64::MAX).unwrap(), Turn::Lost(_)));
        assert_eq!(far.0.borrow().len(), gaps, "what was told before is carried out");
    }
}

#[test]
fn what_is_carried_out_is_not_carried_out_again_while_nothing_comes() {
    let far = Far::default();
    let (mut report, _) = Report::new(Made::new(2, 5), to(&far, false), Duration::ZERO).unwrap();
    while report.turn(u64::MAX).unwrap() != Turn::Idle {}
    assert_eq!((report.entries(), report.committed_entries()), (3, 3));
    report.sink_mut().dies = true; // at its next checkpoint
    for _ in 0..3 {
        assert_eq!(report.turn(u64::MAX).unwrap(), Turn::Idle);
        assert_eq!(report.due(), Duration::MAX, "nothing waits");
    }
}
