#include "common/env/memory_tree.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

namespace bedrock::memory_internal {

namespace {
using NameKey = std::pair<const Inode*, std::string>;
}  // namespace

void NameChange::MakeDurable() const {
  for (const EntryChange& entry : entries) {
    if (entry.target == nullptr) {
      entry.directory->durable_entries.erase(entry.name);
    } else {
      entry.directory->durable_entries[entry.name] = entry.target;
    }
  }
}

InodePtr MemoryTree::NewDirectory() {
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  return inode;
}

/// Makes the change in the current name space and remembers that it is not durable.
void MemoryTree::Apply(NameChange change) {
  for (const EntryChange& entry : change.entries) {
    const auto old = entry.directory->entries.find(entry.name);
    if (old != entry.directory->entries.end()) {
      Inode& inode = *old->second;
      if (!inode.is_directory && --inode.links == 0) used -= inode.current.size();
      entry.directory->entries.erase(old);
    }
    if (entry.target == nullptr) continue;
    if (!entry.target->is_directory && entry.target->links++ == 0) {
      used += entry.target->current.size();
    }
    entry.directory->entries[entry.name] = entry.target;
  }
  unsynced.push_back(std::move(change));
}

/// Changes of this folder become durable, and earlier ones of other folders that touch the same
/// names: a rename brings along what made its source.
void MemoryTree::SyncDirectory(const InodePtr& directory) {
  std::set<NameKey> needed;
  std::vector<bool> chosen(unsynced.size(), false);
  for (std::size_t i = unsynced.size(); i-- > 0;) {
    const auto& entries = unsynced[i].entries;
    chosen[i] = entries.back().directory == directory ||
                std::any_of(entries.begin(), entries.end(), [&](const EntryChange& entry) {
                  return needed.contains({entry.directory.get(), entry.name});
                });
    if (!chosen[i]) continue;
    for (const EntryChange& entry : entries) needed.insert({entry.directory.get(), entry.name});
  }
  std::vector<NameChange> left;
  for (std::size_t i = 0; i < unsynced.size(); ++i) {
    if (chosen[i]) {
      unsynced[i].MakeDurable();
    } else {
      left.push_back(std::move(unsynced[i]));
    }
  }
  unsynced = std::move(left);
}

void MemoryTree::Crash(Random& random, MemoryFileSystem::CrashMode mode) {
  CrashNames(random, mode);
  CrashInodes(random, mode);
}

void MemoryTree::CrashNames(Random& random, MemoryFileSystem::CrashMode mode) {
  std::set<NameKey> lost_names;
  std::set<const Inode*> lost_in;
  // Whole crashes without or with everything happen as often as mixed ones.
  const std::uint64_t keep_of_4 = random.Below(5);
  for (const NameChange& change : unsynced) {
    bool kept = mode == MemoryFileSystem::CrashMode::kKeepUnsynced ||
                (mode == MemoryFileSystem::CrashMode::kRandom && random.Chance(keep_of_4, 4));
    for (const EntryChange& entry : change.entries) {
      if (lost_names.contains({entry.directory.get(), entry.name})) kept = false;
    }
    // A folder goes only when what was in it has gone.
    if (change.removed_directory != nullptr && lost_in.contains(change.removed_directory.get())) {
      kept = false;
    }
    if (kept) {
      change.MakeDurable();
      continue;
    }
    for (const EntryChange& entry : change.entries) {
      lost_names.insert({entry.directory.get(), entry.name});
      lost_in.insert(entry.directory.get());
    }
  }
  unsynced.clear();
}

/// Walks what is left in the order of names, so that the draws are the same on every run.
void MemoryTree::CrashInodes(Random& random, MemoryFileSystem::CrashMode mode) {
  used = 0;
  std::set<const Inode*> seen;
  std::vector<InodePtr> open{root};
  while (!open.empty()) {
    const InodePtr inode = open.back();
    open.pop_back();
    inode->entries = inode->durable_entries;
    for (const auto& [name, child] : inode->entries) {
      if (child->is_directory) {
        if (seen.insert(child.get()).second) open.push_back(child);
        continue;
      }
      if (!seen.insert(child.get()).second) {
        ++child->links;
        continue;
      }
      child->links = 1;
      child->Crash(random, mode);
      used += child->current.size();
    }
  }
}

MemoryTree MemoryTree::Clone() const {
  std::unordered_map<const Inode*, InodePtr> copies;
  std::vector<Inode*> open;
  const auto copy_of = [&](const InodePtr& inode) -> InodePtr {
    if (inode == nullptr) return nullptr;
    InodePtr& made = copies[inode.get()];
    if (made == nullptr) {
      made = std::make_shared<Inode>(*inode);
      open.push_back(made.get());
    }
    return made;
  };
  MemoryTree copy;
  copy.root = copy_of(root);
  copy.used = used;
  copy.unsynced = unsynced;
  for (NameChange& change : copy.unsynced) {
    change.removed_directory = copy_of(change.removed_directory);
    for (EntryChange& entry : change.entries) {
      entry.directory = copy_of(entry.directory);
      entry.target = copy_of(entry.target);
    }
  }
  while (!open.empty()) {
    Inode* const made = open.back();
    open.pop_back();
    for (auto& [name, child] : made->entries) child = copy_of(child);
    for (auto& [name, child] : made->durable_entries) child = copy_of(child);
  }
  return copy;
}

}  // namespace bedrock::memory_internal
