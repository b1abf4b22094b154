// SPDX-License-Identifier: Apache-2.0

/// What of the unsynced changes is still there after a crash.
public struct CrashPolicy: Hashable, Sendable {
    /// Where a write that was cut off may be cut.
    public enum Tearing: Hashable, Sendable {
        /// Nowhere: a write is on the disk whole or not at all.
        case never
        /// At multiples of 512 bytes in the file, each sector on the disk or not by itself.
        case sectors
        /// At sectors, and also inside one at any byte: harsher than disks promise to be.
        case bytes
    }

    enum Kind: Hashable, Sendable {
        case keepAll
        case dropAll
        case random(seed: UInt64, Tearing)
        case subset(UInt64)
    }

    let kind: Kind

    /// The process died and the machine went on: every write is there, and what was unsynced is unsynced still.
    public static let keepAll = CrashPolicy(kind: .keepAll)

    /// Power loss at its worst: what was synced is there, and nothing else.
    public static let dropAll = CrashPolicy(kind: .dropAll)

    /// Power loss that leaves a choice, fixed by the seed, of the unsynced writes and names.
    ///
    /// For each file it keeps all of them, none, the first few with the next one torn, or each by its own lot; what
    /// was dropped at the end of a file may leave zeros. Of the names it keeps all changes, none, the first few, or
    /// some, but never one without the earlier changes that concern the same names. A rename happened or did not.
    public static func random(seed: UInt64, tearing: Tearing = .sectors) -> CrashPolicy {
        CrashPolicy(kind: .random(seed: seed, tearing))
    }

    /// Power loss that leaves exactly these of the unsynced changes, so that a test can try all of them.
    ///
    /// Bit 0 stands for the first change and so on: those of names in their order, then those of each file; see
    /// ``SimulatedFileSystem/unsyncedChanges``. The bits repeat after the 64th. A write is there whole or not at all,
    /// and no name without the earlier changes that concern the same names.
    public static func subset(_ bits: UInt64) -> CrashPolicy { CrashPolicy(kind: .subset(bits)) }
}
