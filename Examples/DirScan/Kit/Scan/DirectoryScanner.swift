// SPDX-License-Identifier: Apache-2.0
import Quern

/// Lists one directory, compares it with what the previous scan remembered of it, and spawns its sub-directories as
/// its siblings: all in one commit, so that a killed scan neither loses nor doubles a directory.
struct DirectoryScanner: TaskHandler {
    let session: ScanSession

    func execute(_ task: ScanDirectory, in context: TaskContext) async throws -> ScanDirectory.Memo {
        let environment = try session.environment(of: context.parent)
        let listing: DirectoryListing
        do throws(ListingError) {
            listing = try environment.lister.list(task.path)
        } catch {
            return try failed(error, root: environment.lister.root.path)
        }
        let key = DirectoryKey(task.path)
        let changes: DirectoryChanges
        do throws(SnapshotError) {
            changes =
                try environment.previous?.withRecord(of: key) { DirectoryChanges(of: listing.entries, since: $0) }
                ?? DirectoryChanges(of: listing.entries, since: nil)
        } catch {
            throw await session.stop(because: error)
        }
        for name in listing.subdirectories {
            try context.spawnSibling(ScanDirectory(path: task.path.appending(name)))
        }
        return .listed(DirectoryMemo(of: listing, at: task.path, changes: changes))
    }

    /// The root must be there; any other directory may have gone since its parent was listed.
    private func failed(_ error: ListingError, root: PathBytes) throws -> ScanDirectory.Memo {
        if error.reason.meansGone, !error.path.isEmpty { return .vanished }
        let failure = DirectoryFailure(reason: error.reason, path: root.appending(error.path.bytes))
        if error.reason.isTransient { throw failure }
        throw PermanentError(reason: failure.failureReason, detail: failure.failureDetail)
    }
}

/// A directory that could not be listed, by its absolute path.
struct DirectoryFailure: DescribedFailure {
    var reason: ListingFailure
    var path: PathBytes

    var failureReason: String { reason.reason }

    /// The path. The middle of one that is too long to be kept is left out, in a way that no path is displayed, so that
    /// the rest is not taken for the path of another directory.
    var failureDetail: String {
        let text = path.description
        let limit = FailureInfo.maximumDetailLength
        guard text.utf8.count > limit else { return text }
        let start = text.utf8.prefix(limit - Self.shownEnd - Self.omission.utf8.count)
        let end = text.utf8.suffix(Self.shownEnd).drop { $0 != PathBytes.slash }
        // The start may end within a character.
        let whole = String(decoding: start, as: UTF8.self).prefix { $0 != "\u{FFFD}" }
        return whole + Self.omission + String(decoding: end, as: UTF8.self)
    }

    private static let shownEnd = 1100
    private static let omission = " \\... "
}
