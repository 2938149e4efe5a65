//! Heavy, stateless stages on threads of their own.
//!
//! In: single rows from the operators of all workers. Out: what the stage made of each, sent back to the operator that
//! asked, which is then woken. One pool serves all workers of a process, so that the number of threads is what the file
//! says. It must not know timely.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use headwater_contract::Port;
use headwater_contract::units::Epoch;

use crate::instance::{Builder, Failure, Instance, StageOutput};
use crate::metrics::thread_cpu;

/// Wakes the operator that waits for a job; called on a thread of the pool.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// One row to work on.
pub struct Job {
    /// Number of the job at its operator: results are released in this order.
    pub number: u64,
    /// The row's epoch.
    pub epoch: Epoch,
    /// The input it came in by.
    pub port: Port,
    /// The row.
    pub row: RecordBatch,
    /// Where the result goes.
    pub reply: Sender<Done>,
    /// The call that wakes the operator.
    pub wake: Wake,
}

/// The result of a job.
pub struct Done {
    /// The job's number.
    pub number: u64,
    /// The output of the stage.
    pub made: Result<StageOutput, Failure>,
    /// CPU time it took.
    pub cpu: Duration,
}

/// Threads that run instances of one stage.
pub struct Pool {
    jobs: Sender<Job>,
    refused: Refused,
}

/// Operators that were refused a job. The pool serves several, so that a place may become free without a result of their own.
type Refused = Arc<Mutex<Vec<Wake>>>;

impl Pool {
    /// Starts a thread for each builder, which builds its own instance. A build that fails is the answer to every job.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(name: &str, builders: Vec<Builder>) -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(builders.len() * 2);
        let refused = Refused::default();
        for builder in builders {
            let (queue, refused) = (queue.clone(), refused.clone());
            std::thread::Builder::new()
                .name(format!("hw-{name}"))
                .spawn(move || serve(builder, &queue, &refused))?;
        }
        Ok(Pool { jobs, refused })
    }

    /// Hands a job over, or back when all threads are busy: its operator is then woken as soon as a place is free.
    ///
    /// # Errors
    /// The job, to be tried again when the operator is woken.
    pub fn offer(&self, job: Job) -> Result<(), Box<Job>> {
        let Err(full) = self.jobs.try_send(job) else { return Ok(()) };
        let job = full.into_inner();
        if let Ok(mut refused) = self.refused.lock() {
            refused.push(job.wake.clone());
        }
        // A place that became free before the operator was registered wakes no operator: poll once more.
        self.jobs.try_send(job).map_err(|e| Box::new(e.into_inner()))
    }
}

fn wake_refused(refused: &Refused) {
    let waiting = refused.lock().map(|mut refused| std::mem::take(&mut *refused)).unwrap_or_default();
    waiting.iter().for_each(|wake| wake());
}

fn serve(builder: Builder, queue: &Receiver<Job>, refused: &Refused) {
    let mut instance = Instance::build(builder);
    for Job { number, epoch, port, row, reply, wake } in queue {
        wake_refused(refused);
        let before = thread_cpu();
        let made = match &mut instance {
            Ok(instance) => {
                let mut made = StageOutput::default();
                instance.batch(epoch, port, &row, &mut made).map(|()| made)
            }
            Err(failure) => Err(failure.clone()),
        };
        let cpu = thread_cpu().saturating_sub(before);
        // The operator is gone when the run was stopped at once: nothing waits for this answer.
        let _ = reply.send(Done { number, made, cpu });
        wake();
    }
}
