//! placeholder
use crate::which::OneLog;
/// x
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
}
pub fn run(args: Args) -> anyhow::Result<()> {
    args.log.open()?;
    Ok(())
}
