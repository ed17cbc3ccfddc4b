//! S7 scroll: the pages of a scroll, one after the other, are what an account's history is, and nothing is shown twice.
//!
//! In: the pages read, core's entries, the channel's transfers and entries. Out: `page-dup`, `page-miss`, `page-order` (`slices`), `double-shown`
//! (`double_shown`). Elsewhere: whether the rows of one page are core's (`no_visible_hole`), whether later reads show less (`monotone`).

mod double_shown;
mod slices;

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};

/// S7.
pub struct Scroll;

impl Check for Scroll {
    fn id(&self) -> &'static str {
        "S7"
    }

    fn name(&self) -> &'static str {
        "scroll"
    }

    fn explains(&self) -> &'static str {
        "The pages of one scroll are one piece of the account's history, from the first page's top down: none repeats a row (page-dup), leaves one \
         out (page-miss) or has rows in another order (page-order), and the last one ends with the first entry. No page lists as in progress a \
         transfer whose row its snapshot has, and at the end none is stored so (double-shown). How many pages scrolls had, how many reads \
         of them failed and how many pages list transfers is counted (scrolled_pages, scroll_reads_failed, pages_with_pending)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.transfers || context.following.is_some()
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        slices::judge(source, context.following.unwrap_or_default().cursor, tally)?;
        if context.transfers {
            double_shown::served(source, tally)?;
            double_shown::at_rest(source, tally)?;
        }
        Ok(())
    }
}
